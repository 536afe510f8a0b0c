"""What both systems share, in the order in which data flows."""
