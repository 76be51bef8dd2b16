"""The simple speaker embedding of a shard set's recordings, with who speaks in them."""

from pathlib import Path

import numpy as np

from accent.inference.voice import voice_vector
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader


def simple_embeddings(shards: Path) -> dict[str, np.ndarray]:
    """Return keys, embeddings, speakers, accents and seconds of a shard set."""
    shard_set = ShardSet.open(shards)
    reader = ShardReader(shard_set)
    vectors, keys = [], []
    for number in range(len(shard_set.index)):
        vectors.append(voice_vector(reader.frames(number)))
        keys.append(reader.metadata(number)["key"])
    vectors_NE = np.stack(vectors)
    return {
        "keys": np.array(keys),
        "embeddings": (vectors_NE - vectors_NE.mean(0)) / vectors_NE.std(0),
        "speakers": np.array(shard_set.speakers)[shard_set.index["speaker"]],
        "accents": np.array(shard_set.accents)[shard_set.index["accent"]],
        "seconds": shard_set.index["frames"] / 100,
    }


def divide(found: dict[str, np.ndarray], folder: Path) -> tuple[Path, Path, Path]:
    """Write every other speaker of an accent as the tested ones, the rest as the cohort, and all trials."""
    tested = set()
    for accent in np.unique(found["accents"]):
        tested |= set(np.unique(found["speakers"][found["accents"] == accent])[::2].tolist())
    is_tested = np.isin(found["speakers"], sorted(tested))
    for name, rows in (("test", is_tested), ("cohort", ~is_tested)):
        np.savez(folder / f"{name}.npz", **{key: value[rows] for key, value in found.items()})
    keys, speakers = found["keys"][is_tested], found["speakers"][is_tested]
    lines = [
        f"{int(speakers[one] == speakers[other])} {keys[one]} {keys[other]}"
        for one in range(len(keys))
        for other in range(one + 1, len(keys))
    ]
    (folder / "trials.txt").write_text("\n".join(lines) + "\n")
    return folder / "test.npz", folder / "trials.txt", folder / "cohort.npz"
