"""The lecture's sentences about how IPC behaves, each tried on this very kernel.

``claim`` says what a sentence and its verdict are, ``lab`` what an experiment may use, ``conduct``
how one is run; ``mechanisms/`` holds the experiments, one file a mechanism.
"""
