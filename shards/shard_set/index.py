"""The index of a shard set: one row a sample, where its bytes are and whose they are.

The rows are compared with the manifest when a set is opened, so that no sample points outside its shard or at a speaker
that does not exist.  Cost: 0.05 s a million rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accent.errors import AccentError
from accent.features.schema import N_COLUMNS

INDEX_NAME = "index.npy"
INDEX_DTYPE = np.dtype(
    [
        ("shard", "<u4"),
        ("frames_offset", "<u8"),
        ("phones_offset", "<i8"),
        ("metadata_offset", "<u8"),
        ("metadata_bytes", "<u4"),
        ("frames", "<u4"),
        ("speaker", "<u4"),
        ("accent", "<u2"),
        ("prompt", "<u4"),
        ("crc32", "<u4"),
    ]
)
"""A row of the index.  Offsets are bytes from the start of the shard to the first datum, past the .npy header; -1 where
there are no phones.  Speaker, accent and prompt are positions in the manifest's sorted lists."""
FRAME_DTYPE = np.dtype("<f2")
"""Of a stored feature."""
PHONE_DTYPE = np.dtype("<i2")
"""Of a stored phone number."""
FRAME_BYTES = N_COLUMNS * FRAME_DTYPE.itemsize
PHONE_BYTES = PHONE_DTYPE.itemsize
_BLOCK_ROWS = 1 << 14


def load_index(file: Any, where: str) -> NDArray[np.void]:
    """Read an index, or map it where `file` is a path.

    Args:
        file: a path, or an open binary file.
        where: its name, for the message.

    Returns:
        `INDEX_DTYPE`, read-only.

    Raises:
        AccentError: it is no index.
    """
    try:
        index = np.load(file, mmap_mode="r" if isinstance(file, str) else None, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise AccentError(f"{where}: not an index ({error}); featurize the corpus again") from error
    if not isinstance(index, np.ndarray) or index.dtype != INDEX_DTYPE or index.ndim != 1:
        raise AccentError(f"{where}: not an index of this program's columns; featurize the corpus again")
    index.flags.writeable = False
    return index


def check_index(
    index: NDArray[np.void],
    shards: Sequence[tuple[int, int]],
    names: dict[str, int],
    where: str,
) -> None:
    """Compare the rows of an index with what the manifest says of shards, speakers, accents and prompts.

    Args:
        index: `INDEX_DTYPE`.
        shards: bytes and samples of each shard.
        names: how many there are of each: "speaker", "accent", "prompt".
        where: name of the index, for the message.

    Raises:
        AccentError: another number of rows, or a row that points to nothing; the line gives the row.
    """
    bytes_of, count_of = np.array(shards, dtype=np.int64).reshape(-1, 2).T
    if len(index) != count_of.sum():
        raise AccentError(f"{where}: {len(index)} rows do not fit {count_of.sum()} samples; featurize the corpus again")
    limits = {"shard": len(shards), **names}
    found = np.zeros_like(count_of)
    for start in range(0, len(index), _BLOCK_ROWS):
        # A block stays in the processor's cache while its columns are gone through one after the other.
        rows = np.array(index[start : start + _BLOCK_ROWS])
        for wrong, why in _pointing_outside(rows, limits, bytes_of):
            if wrong.any():
                row = start + int(np.argmax(wrong))
                raise AccentError(f"{where}: row {row}: its {why}; featurize the corpus again")
        found += np.bincount(rows["shard"], minlength=len(shards))
    if (found != count_of).any():
        raise AccentError(f"{where}: other numbers of samples by shard than the manifest's; featurize the corpus again")


def _pointing_outside(
    rows: NDArray[np.void], limits: dict[str, int], bytes_of: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Yield which rows are wrong, and how."""
    for column, count in limits.items():
        yield rows[column] >= count, f"{column} is not one of the manifest's {count}"
    end = bytes_of[rows["shard"]]
    frames = rows["frames"].astype(np.int64)
    for column, length in (
        ("frames_offset", frames * FRAME_BYTES),
        ("metadata_offset", rows["metadata_bytes"].astype(np.int64)),
        ("phones_offset", frames * PHONE_BYTES),
    ):
        # Offsets beyond 2^63 become negative.
        offset = rows[column].astype(np.int64)
        outside = (offset < 0) | (offset > end - length)
        if column == "phones_offset":
            outside &= offset != -1
        yield outside, f"{column} leaves its shard"
