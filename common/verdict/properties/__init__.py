"""One property a file; the file is found by its name and needs no other edit."""
