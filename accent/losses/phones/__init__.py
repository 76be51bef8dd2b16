"""Losses of phone heads."""
