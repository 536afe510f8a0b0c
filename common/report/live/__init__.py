"""What is happening in a run, at this moment? The table that ``--live`` draws on a terminal.

``view`` looks a few times a second at what the processes write anyway (``tail``), recognises what
it can without a judgement (``sightings``), and draws (``frame``, ``screen``). Nothing of it is
evidence: the verdict is the judge's alone.
"""
