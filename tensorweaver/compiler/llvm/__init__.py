"""Graphs in the language of LLVM: vectors of numbers in registers, loops over memory."""
