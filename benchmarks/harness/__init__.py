"""What the benchmarks share: the rows, the contestants, the measuring and the report."""
