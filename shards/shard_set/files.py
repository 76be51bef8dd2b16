"""The files of a shard set: their names, sizes and hashes; and what a folder is instead that holds no shard set.

Cost: a look at the size of each file; a hash reads the file (`accent.files`).
"""

import re
from pathlib import Path

from accent.errors import AccentError
from accent.files import sha256_of

MANIFEST_NAME = "manifest.json"
STATISTICS_NAME = "statistics.npz"
COPY_AGAIN = "copy it again, or delete the folder and featurize again"
"""What to do about a file that is not what the manifest says."""
_TABLES = (".tsv", ".csv", ".jsonl")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def is_plain_name(name: str) -> bool:
    """Whether a file's name is of letters, digits, dots, dashes and underscores, and begins with no dot or dash.

    Such a name stays in its folder, is no option of a command, and is the same however often a shell reads it.

    >>> is_plain_name("shard-000000.tar"), is_plain_name("../a.tar"), is_plain_name("a;b"), is_plain_name("-rf")
    (True, False, False, False)
    """
    return _PLAIN_NAME.fullmatch(name) is not None


def require_shard_set(root: Path) -> None:
    """Check that a path is a folder with a manifest.

    Raises:
        AccentError: it is not; the line says what it is instead.
    """
    if root.is_file():
        what = (
            f"a table; make a shard set of it: accent featurize {root} SHARDS" if root.suffix in _TABLES else "a file"
        )
        raise AccentError(f"{root}: {what}; a shard set is a folder with a {MANIFEST_NAME}")
    if not root.is_dir():
        raise AccentError(f"{root}: no such folder; featurize a corpus into it first")
    path = root / MANIFEST_NAME
    if not path.is_file() and _looks_like_a_corpus(root):
        raise AccentError(f"{root}: a corpus, not a shard set; make one of it: accent featurize {root} SHARDS")
    if not path.is_file():
        raise AccentError(f"{root}: not a complete shard set (no {MANIFEST_NAME}); let featurizing end")


def check_size(path: Path, expected: int) -> None:
    """Raise `AccentError` if a file is missing or has another size."""
    if not path.is_file():
        raise AccentError(f"{path}: missing from the shard set; {COPY_AGAIN}")
    size = path.stat().st_size
    if size != expected:
        raise AccentError(f"{path}: {size} bytes where the manifest says {expected}; {COPY_AGAIN}")


def check_sha256(path: Path, expected: str) -> None:
    """Raise `AccentError` if a file's content is another."""
    if sha256_of(path) != expected:
        raise AccentError(f"{path}: damaged (sha256 differs from the manifest); {COPY_AGAIN}")


def _looks_like_a_corpus(root: Path) -> bool:
    """Tell a folder of sound or of a corpus's tables from one in which a shard set was begun."""
    if (root / ".parts").exists():
        return False
    tables = ("speakers.tsv", "validated.tsv")
    return any((root / name).is_file() for name in tables) or next(root.glob("*/wav"), None) is not None
