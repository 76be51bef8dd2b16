"""What the page shows, one section a file; see README.md."""
