"""YAML configurations: runs here, corpora and accelerate launchers in their folders.  A package only to be installed."""
