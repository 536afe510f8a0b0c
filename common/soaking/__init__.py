"""The soak: run after run with whatever a seed draws going wrong, and what must hold all the same.

``drawing`` draws a run, ``faulting`` what goes wrong in it, ``promise`` says what may be found
then, ``trial`` runs it and looks, in a ``place`` of its own; ``soak`` does so for a long time and
``burst`` many at once.
"""
