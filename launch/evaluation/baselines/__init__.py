"""Systems that accent embeddings are compared with, in the same folds and by the same measures."""
