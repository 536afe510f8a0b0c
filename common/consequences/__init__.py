"""What follows when something goes wrong? Every kind with every fault, each cell a run of its own.

A section (``sections``, one a file) has a row for each kind of lock, channel or table and a column
for each scenario of ``configs/faults``. A cell's words are read off its stored run; what the kind
says of itself (``facts``) only decides which variant of the scenario it is held to, and is held
against what was seen.
"""
