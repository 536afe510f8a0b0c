"""What keeps this user out of a path: the file itself, or a directory on the way to it."""

from __future__ import annotations

from pathlib import Path


def told(path: Path) -> str:
    """Return what is closed, with its mode and owner.

    That is the last part of the path that can be seen: itself, the directory that lacks it, or one
    on the way that may not be searched (path_resolution(7)).
    """
    whole = path.absolute()
    culprit = Path(whole.root)
    status = culprit.stat()
    for each in (*reversed(whole.parents), whole):
        try:
            status = each.stat()
        except OSError:
            break
        culprit = each
    return f"{culprit} has mode {status.st_mode & 0o7777:04o}, owner uid {status.st_uid}"
