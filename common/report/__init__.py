"""How it is shown: documents, text, and the live progress line."""
