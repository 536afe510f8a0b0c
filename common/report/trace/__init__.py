"""A stored run as a trace that ui.perfetto.dev and chrome://tracing open (docs/trace.md)."""
