"""What an error of the YAML parser means, in words for people, at the place that is to be mended.

The two parsers of PyYAML word and place some errors differently; what is said here is the same for
both.
"""

from __future__ import annotations

from typing import NamedTuple

import yaml


class SyntaxFault(NamedTuple):
    """What is wrong with the text: 0-based line and column, the reason, and the mend.

    ``inside`` is true where the place is that of the innermost list or mapping still open.
    """

    line: int
    column: int
    reason: str
    hint: str = ""
    inside: bool = False


# What the parser's words for a problem contain; what is said instead; the mend; and whether it is
# wrong where the parser began with the piece of text, not where it noticed.
_WORDS = (
    ("nesting", "nested too deep", "", False),
    ("escape", "an unknown escape in this text", "in double quotes write \\\\ for \\", True),
    ("mapping values", "a ':' that makes no sense here",
     "quote the text, or mend the indentation", False),
    ("cannot start any token", "a value cannot begin with this character",
     "quote the value", False),
    ("expected ':'", "a key without ': ' behind it", "write key: value, with the space", True),
    ("incompatible", "another version of YAML", "leave the %YAML line out", False),
)  # fmt: skip


def explain(error: yaml.MarkedYAMLError, text: str) -> SyntaxFault:
    """Return what ``error`` means in ``text``."""
    context, problem = error.context or "", error.problem or "this is not YAML"
    noticed = error.problem_mark or error.context_mark
    began = error.context_mark or noticed
    if noticed is None or began is None:
        return SyntaxFault(0, 0, problem)
    line = text.split("\n")[noticed.line : noticed.line + 1]
    if line and line[0][noticed.column : noticed.column + 1] == "\t":
        reason = "a tab in the indentation"
        return SyntaxFault(noticed.line, noticed.column, reason, "indent with spaces")
    for word, reason, hint, at_beginning in _WORDS:
        if word in problem:
            mark = began if at_beginning else noticed
            return SyntaxFault(mark.line, mark.column, reason, hint)
    if "quoted" in context or "flow" in context:
        reason = "this quote or bracket is not closed, or a comma is missing in it"
        return SyntaxFault(began.line, began.column, reason, inside="flow node" in context)
    return SyntaxFault(noticed.line, noticed.column, problem)
