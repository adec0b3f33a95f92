"""The example scripts, the README and the guides: what they show is what happens."""
