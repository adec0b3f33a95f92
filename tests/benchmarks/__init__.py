"""The benchmarks of a GPU, as far as they need none."""
