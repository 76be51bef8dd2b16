"""Embeddings of whatever a user has: one sound file, a folder of them, or a shard set, written to one .npz or .csv.

Shapes: N recordings, E embedding, A accents of the model.  Cost: for sound, the features (some milliseconds
a second of it, on one core) and a forward pass; for shards, the forward pass.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from accent.errors import AccentError
from accent.files import writable_folder, write_archive, write_text
from accent.inference.embedder import AccentEmbedder, Prediction
from launch.extraction.compatibility import check_features
from launch.extraction.extract import extract, usable_device
from launch.extraction.sound_features import features_of_files
from launch.extraction.sound_files import list_sound_files
from launch.extraction.speaker_statistics import voices_for
from launch.extraction.terminal import track_on_terminal
from launch.terminal import TerminalConsole
from shards.corpora.names import escaped, is_utf8
from shards.loading.loader import EvaluationLoader
from shards.shard_set.files import MANIFEST_NAME
from shards.shard_set.manifest import ShardSet

Arrays = Mapping[str, np.ndarray]
Refused = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class EmbeddingResult:
    """What was embedded and what could not be."""

    output: Path
    """The .npz file."""
    count: int
    """Recordings in it."""
    refused: Refused = ()
    """(path, reason) of sound files and folders that could not be used."""


def embed_input(
    run: Path,
    source: Path,
    output: Path,
    device: torch.device | str | None = None,
    console: Console | None = None,
    workers: int = 1,
) -> EmbeddingResult:
    """Embed a sound file, a folder of sound files, or a shard set.

    The archive holds `keys` [N] (the path below the folder, the file's name, or the sample's key), `embeddings` float32
    [N, E], `probabilities` float32 [N, A] of the accents named in `accent_names` [A]; from a shard set, `speakers` [N]
    and `accents` [N] too; from sound, `refused` [n, 2], paths and reasons.

    A .csv has a row a recording: `key`, from a shard set `speaker` and `accent`, the probability of each accent under
    its name, and the numbers of the embedding, `e0` and on.

    A model that normalises by speaker takes each sound file for a speaker of its own, since nobody says who speaks; a
    shard set knows its speakers.

    Args:
        run: a run folder, a model folder, or a model file.
        source: a sound file; a folder with a `manifest.json`, which is a shard set; or any other folder, searched at
            any depth for WAV, FLAC, OGG and MP3 files.
        output: the .npz or .csv file to write; one that exists is replaced at the end.
        device: where to compute; a GPU if there is one.
        console: told what was written and what was refused; the terminal if not given.
        workers: processes that make the features of sound files; with one, this process does.

    Returns:
        Where the archive is, how many recordings it holds, and which files were refused.

    Raises:
        AccentError: no model, no such input, no sound file in it or none that can be used, features made otherwise than
            the model's, or an output that cannot be written.
    """
    device = usable_device(device)
    console = console if console is not None else TerminalConsole()
    _check_output(output)
    embedder = AccentEmbedder.load(run, device)
    if (source / MANIFEST_NAME).is_file():
        arrays, refused = _embed_shards(embedder, source)
    else:
        if embedder.model.config.normalisation == "speaker" and source.is_dir():
            console.print("this model normalises by speaker: each file is taken for a speaker of its own")
        arrays, refused = _embed_sound(embedder, source, workers)
    if output.suffix == ".csv":
        write_text(output, _table(arrays, embedder.accents))
    else:
        write_archive(output, {**arrays, "accent_names": np.array(embedder.accents)})
    result = EmbeddingResult(output, len(arrays["keys"]), refused)
    for path, reason in refused:
        console.print(f"refused: {path}: {reason}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{output}: {result.count} embeddings of {arrays['embeddings'].shape[1]} numbers"
        + (f"; {len(refused)} refused" if refused else ""),
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return result


def _check_output(output: Path) -> None:
    """Make the folder and see that it can be written, before hours are spent on what goes there."""
    if output.suffix not in (".npz", ".csv"):
        raise AccentError(f"{output}: the output is an .npz archive or a .csv table; give it a name that ends so")
    if output.is_dir():
        raise AccentError(f"{output}: is a folder; name a file")
    writable_folder(output.parent)


def _embed_shards(embedder: AccentEmbedder, root: Path) -> tuple[Arrays, Refused]:
    shard_set = ShardSet.open(root)
    check_features(shard_set, embedder.feature_config)
    loader = EvaluationLoader(shard_set)
    voices = voices_for(embedder.model, shard_set)
    found = extract(embedder.model, track_on_terminal(loader, "embedding"), embedder.device, voices)
    arrays = {
        "keys": loader.keys(found.sample_N),
        "embeddings": found.embedding_NE,
        "probabilities": found.probability_NA,
        "speakers": np.array(shard_set.speakers)[found.speaker_N],
        "accents": np.array(loader.accents)[found.accent_N],
    }
    return arrays, ()


def _embed_sound(embedder: AccentEmbedder, source: Path, workers: int) -> tuple[Arrays, Refused]:
    alone = source.is_file()
    listed, refused = list_sound_files(source)
    files = [path for path in listed if is_utf8(str(path))]
    refused += [
        (escaped(os.path.relpath(path, source)), "its name is not UTF-8; rename it")
        for path in listed
        if not is_utf8(str(path))
    ]
    heard: dict[str, Prediction] = {}
    features = features_of_files(files, embedder.feature_config, workers)
    for path, frames_TD in zip(track_on_terminal(files, "embedding"), features, strict=True):
        key = path.name if alone else path.relative_to(source).as_posix()
        if not isinstance(frames_TD, AccentError):
            heard[key] = embedder.predict_frames(frames_TD)
        elif alone:
            raise frames_TD
        else:
            refused.append((key, escaped(str(frames_TD).removeprefix(f"{path}: "))))
    if not heard:
        count = len(refused)
        raise AccentError(
            f"{source}: none of {count} sound files can be used; the first: {refused[0][0]}: {refused[0][1]}"
        )
    arrays = {
        "keys": np.array(list(heard)),
        "embeddings": np.stack([one.embedding_E for one in heard.values()]),
        "probabilities": np.stack([one.probability_A for one in heard.values()]),
        "refused": np.array(refused, dtype=np.str_).reshape(-1, 2),
    }
    return arrays, tuple(refused)


def _table(arrays: Arrays, accents: Sequence[str]) -> str:
    labels = {name: arrays[f"{name}s"] for name in ("speaker", "accent") if f"{name}s" in arrays}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["key", *labels, *accents, *(f"e{number}" for number in range(arrays["embeddings"].shape[1]))])
    rows = zip(arrays["keys"], *labels.values(), arrays["probabilities"], arrays["embeddings"], strict=True)
    for *names, probability_A, embedding_E in rows:
        # The shortest text that gives back the same float32.
        writer.writerow([*names, *map(str, probability_A), *map(str, embedding_E)])
    return text.getvalue()
