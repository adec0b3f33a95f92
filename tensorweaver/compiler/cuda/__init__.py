"""Graphs as CUDA kernels; `engine` is the way in."""
