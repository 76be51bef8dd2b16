"""The processes that compute features: how many, what each may hold, in which order they work."""
