"""Does a spool keep what it promises? Judged from its journal, from what lies in it, and the paper.

``replay`` reads the journal, ``belief`` asks whether it is whole, ``keeping`` whether jobs were
lost or printed too often, ``moving`` whether they moved as they may, ``idling`` whether one waited
for nothing, and ``summary`` says what became of them all.
"""
