"""Put the shards that several machines made together: the bytes that one machine would have written.

Everything needed is in the folder: the records of the shards and the plan.  The corpus is not opened.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from accent.errors import AccentError
from accent.features.phones import PHONES
from shards.shard_set.manifest import MANIFEST_NAME, ShardSet
from shards.writing.lock import locked
from shards.writing.partition import Partition
from shards.writing.resume import Intent, remove_temporaries, same_program
from shards.writing.shard_record import assemble, is_finished, load_parts, remove_parts, shard_name

_MOST_NAMED = 5


def merge(root: Path | str) -> ShardSet:
    """Make the manifest of a set whose shards are all there; a complete set is opened at once.

    Args:
        root: the folder of the shard set.

    Returns:
        The opened shard set.

    Raises:
        AccentError: shards are missing, or being made at this moment; the line names them and their parts.
    """
    root = Path(root)
    if not root.is_dir():
        raise AccentError(f"{root}: no such folder; make shards with `accent featurize CORPUS {root} --part K/N`")
    with locked(root):
        if (root / MANIFEST_NAME).exists():
            shard_set = ShardSet.open(root)
            remove_parts(root)
            return shard_set
        intent = Intent.read(root)
        if intent is None:
            raise AccentError(f"{root}: no shards were begun there; make some with `accent featurize CORPUS {root}`")
        same_program(root, intent)
        missing = missing_shards(root, range(intent.shards))
        if missing:
            raise AccentError(
                f"{root}: {len(missing)} of {intent.shards} shards are missing: {_named(missing, intent.parts)}; "
                "run their parts again, then merge again"
            )
        remove_temporaries(root, (), everything=True)
        return assemble_shards(root, intent)


def missing_shards(root: Path, numbers: Iterable[int]) -> list[int]:
    """Return those of some shards that are not finished."""
    return [number for number in numbers if not is_finished(root, number)]


def assemble_shards(root: Path, intent: Intent) -> ShardSet:
    """Make the manifest, index and statistics from the records of all shards; the folder is locked."""
    return assemble(
        root,
        load_parts(root, intent.shards),
        corpus=intent.corpus,
        configuration=intent.configuration,
        features_fingerprint=intent.features_fingerprint,
        plan_fingerprint=intent.plan_fingerprint,
        phones=PHONES,
        refused=intent.refused,
    )


def _named(missing: Sequence[int], parts: int) -> str:
    names = [shard_name(number) for number in missing]
    if parts > 1:
        lost = Counter(number % parts for number in missing)
        names = [f"{count} of part {Partition(rest + 1, parts)}" for rest, count in sorted(lost.items())]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
