"""Which sample, when, on which rank: pure functions, no input or output."""
