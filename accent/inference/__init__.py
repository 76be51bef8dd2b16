"""A trained model at work on sound."""
