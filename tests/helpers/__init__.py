"""What tests share: one comparison, and arrays of any library without the package under test."""
