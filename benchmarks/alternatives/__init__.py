"""What a Python user would take instead of a lock, table or channel of the lab: one file each."""
