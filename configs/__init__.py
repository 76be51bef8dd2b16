"""YAML configurations: runs here, corpora and accelerate launchers in folders.  A package only to be installed."""
