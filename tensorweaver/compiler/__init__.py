"""From a formula to its kernel: trace, differentiate, simplify, emit. The door is `compile`."""
