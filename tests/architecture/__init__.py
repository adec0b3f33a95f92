"""Tests that read the source: who imports whom, how long things are, what is public."""
