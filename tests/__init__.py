"""The tests; the shared helpers live in `tests.helpers`."""
