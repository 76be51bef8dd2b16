"""Make files end with exactly one newline: `python -m tests.support.end_of_file FILE ...`; status 1 if any did not.

Cost: reads every file once.
"""

import sys
from pathlib import Path


def mend(path: Path) -> bool:
    """End a file with one newline, unless it is empty; return whether that changed it."""
    content = path.read_bytes()
    mended = content.rstrip(b"\r\n") + b"\n" if content.strip(b"\r\n") else b""
    if mended == content or content.endswith(b"\r\n"):
        return False
    path.write_bytes(mended)
    return True


if __name__ == "__main__":
    changed = [name for name in sys.argv[1:] if mend(Path(name))]
    print("".join(f"{name}: mended\n" for name in changed), end="")
    sys.exit(bool(changed))
