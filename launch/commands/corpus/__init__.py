"""Commands on a corpus and its shards: align, featurize, merge, inspect."""
