"""Rows: one file a question. Each has ``row(bench) -> Row``; its docstring is the question."""
