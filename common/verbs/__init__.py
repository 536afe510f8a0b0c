"""One command-line verb a file: ``add_arguments`` and ``execute``."""
