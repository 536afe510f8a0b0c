"""Roles that exist for the tests of scenarios alone; they are planned, never run."""
