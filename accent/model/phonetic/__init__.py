"""The embedding from how each phone is said: phone heads, sums by phone, comparison with the training speakers."""
