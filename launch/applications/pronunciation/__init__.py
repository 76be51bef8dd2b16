"""How well recordings were pronounced, and whether people agree."""
