"""The sections of the table: one a file.

Each module has ``NUMBER`` (their order), ``TITLE``, ``ROW`` (what a row is), ``COLUMNS``, and

- ``rows() -> [Row]``: a new kind is in it by being there.
- ``ask(row, column) -> Asked | Without``: which run the cell asks for, or why there is none.
- ``see(row, column, case, document) -> Seen``: what that run showed.
- ``refused(row, column, document) -> Seen``: the same of one that found no room, where it asks for
  such a run (``Asked.full``).
"""
