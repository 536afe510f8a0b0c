"""The roles a process of the spooler can take, one file each."""
