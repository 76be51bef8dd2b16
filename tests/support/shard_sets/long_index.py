"""A shard set of any number of rows for the price of its index: every row points at a sample of one small, real shard.

The shards are hard links to that one, 256 rows each, so a set of ten million rows takes 500 MB of index and 26 MB of
samples.  Keys and checksums are those of the samples pointed at; keys are not unique.
"""

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np

from shards.shard_set.files import STATISTICS_NAME
from shards.shard_set.index import INDEX_DTYPE, INDEX_NAME
from shards.shard_set.manifest import FileEntry, ShardEntry, ShardSet, SpeakerEntry
from shards.shard_set.statistics import SpeakerStatistics
from shards.writing.merge import write_manifest
from shards.writing.sample import npy_bytes
from shards.writing.shard_record import shard_name
from tests.support.shard_sets.synthetic import make_shard_set

ROWS_A_SHARD = 256


def make_long_shard_set(
    folder: Path,
    rows: int,
    accents: int = 6,
    speakers_per_accent: int = 100,
    prompts: int | None = 1_132,
    lengths: tuple[int, int] = (100, 700),
    seed: int = 0,
) -> ShardSet:
    """Make a shard set with a long index.

    Args:
        folder: where to; made if need be.
        rows: how many samples; at least as many as speakers.
        accents: how many accents.
        speakers_per_accent: how many speakers each has; rows are dealt to all speakers in turn, then mixed.
        prompts: how many prompts; None gives each row its own.
        lengths: shortest and longest sample in frames.
        seed: same seed, same set.

    Returns:
        The opened shard set.
    """
    small = make_shard_set(folder / "small", {"a": ["a0"]}, ROWS_A_SHARD, lengths=lengths, samples_per_shard=10**9)
    rng = np.random.default_rng(seed)
    speakers = accents * speakers_per_accent
    index = np.empty(rows, INDEX_DTYPE)
    number_N = np.arange(rows)
    for column in INDEX_DTYPE.names or ():
        index[column] = small.index[column][number_N % ROWS_A_SHARD]
    index["shard"] = number_N // ROWS_A_SHARD
    index["speaker"] = rng.permutation(number_N % speakers)
    index["accent"] = index["speaker"] // speakers_per_accent
    index["prompt"] = rng.permutation(rows) if prompts is None else rng.integers(0, prompts, rows)
    count_S = np.bincount(index["speaker"], minlength=speakers)
    accent_names = tuple(f"accent{number:04d}" for number in range(accents))

    entry = small.manifest.shards[0]
    shards = [
        ShardEntry(shard_name(number), entry.bytes, entry.sha256, min(ROWS_A_SHARD, rows - number * ROWS_A_SHARD))
        for number in range(-(-rows // ROWS_A_SHARD))
    ]
    for one in shards:
        os.link(small.root / entry.name, folder / one.name)
    moments = small.speaker_statistics
    table = SpeakerStatistics(
        *(np.repeat(part, speakers, axis=0) for part in (moments.count_SD, moments.mean_SD, moments.m2_SD)),
        np.repeat(moments.f0_SH, speakers, axis=0),
    )
    manifest = dataclasses.replace(
        small.manifest,
        shards=tuple(shards),
        speakers=tuple(
            SpeakerEntry(
                f"speaker{number:07d}",
                accent_names[number // speakers_per_accent],
                ("female", "male")[number % 2],
                None,
                "synthetic",
                int(count_S[number]),
            )
            for number in range(speakers)
        ),
        accents=accent_names,
        prompts=(),
        count=rows,
        hours=round(float(index["frames"].sum()) / 360_000, 6),
        index=_write(folder / INDEX_NAME, npy_bytes(index)),
        statistics=_write(folder / STATISTICS_NAME, table.to_npz()),
    )
    write_manifest(folder, manifest, [f"text-{number:010x}" for number in range(rows if prompts is None else prompts)])
    return ShardSet.open(folder)


def _write(path: Path, data: bytes) -> FileEntry:
    path.write_bytes(data)
    return FileEntry(len(data), hashlib.sha256(data).hexdigest())
