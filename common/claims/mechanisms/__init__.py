"""Experiments, one file a mechanism: each function shows or refutes some sentences.

Its docstring says what is set up and done, in a sentence: processes, objects, what is looked at. It
is decorated with :func:`common.claims.claim.claim` once for each sentence. It is run
in a process of its own, with a deadline, and given a :class:`common.claims.lab.Lab`; it returns one
:class:`common.claims.claim.Shown` for all its sentences, or one for each by their names. A verdict
comes from what the kernel did just now, never from what it did elsewhere. A module may have
``DEFINITIONS``: the sentences that need no experiment, each with the reason (a definition, a slip
of spelling).
"""
