"""Measures of recordings as tables, for phoneticians."""
