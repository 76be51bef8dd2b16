"""The one exception a user is meant to read.

What the user can correct (a missing folder, a wrong key, a silent recording) is raised as an `AccentError` whose
message is one line: what is wrong, where, and what to do.  The command line prints that line and leaves with status 2;
anything else is a fault of ours and keeps its traceback.
"""


class AccentError(Exception):
    """A fault that the user can correct; its message is one complete line."""
