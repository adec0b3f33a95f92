"""Every loss and function against arbitrary-precision arithmetic."""
