"""What runs on a GPU apart from the other tests."""
