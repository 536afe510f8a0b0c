"""Subjects: programs of their own that do one piece of measured work and print a line of JSON."""
