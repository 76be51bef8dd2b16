"""What lies on disk, and how to read it: manifest, index, statistics, samples."""
