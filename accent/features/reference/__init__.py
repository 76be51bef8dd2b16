"""The reference backend: librosa for the spectral families, Praat (parselmouth) for the others."""
