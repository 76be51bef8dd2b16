"""Speech features: one table of columns (schema), one backend a sub-package, one entry point (extract)."""
