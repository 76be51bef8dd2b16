"""What a person sees of a run: curves, pictures, progress, and where the time goes."""
