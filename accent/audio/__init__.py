"""Sound file to prepared speech."""
