"""Tests of the scenario room: reading, judging, changing and planning scenarios."""
