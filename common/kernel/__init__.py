"""What the kernel owns: locks, tables, channels, and the ledger of what a run made."""
