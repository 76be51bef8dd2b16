"""The numba backend: all columns of the schema from compiled kernels, with the numbers of librosa and Praat."""
