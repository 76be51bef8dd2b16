"""The numba backend: every column of the schema from compiled kernels, with the numbers of librosa and Praat."""
