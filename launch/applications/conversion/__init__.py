"""Vectors to condition a conversion system on, and how far converted speech moved."""
