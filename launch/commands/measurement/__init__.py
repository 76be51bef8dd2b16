"""Commands that measure recordings and compare speakers, for phoneticians."""
