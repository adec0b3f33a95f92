"""What the battery has to know of each loss, a family a file."""
