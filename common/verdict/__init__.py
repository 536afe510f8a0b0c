"""What it means: properties as pure functions of a history and an outcome."""

import common.history  # noqa: F401 - first: it keeps numpy single-threaded
