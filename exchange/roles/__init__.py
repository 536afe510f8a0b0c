"""The roles a process of the exchange can take, one file each."""
