"""Measure what a model's answers are worth, and keep it beside its weights: temperature, unknown, same accent.

What its accents are like is measured and kept too: `launch.applications.profiles`.

The speakers are those that validated the training, because the model never learnt from them; where there are none, the
training speakers, and the calibration says so.  (Training speakers make a model look surer than it is.  The phone heads
at least are crossed: each training speaker is read by the head that never heard them.)  Few speakers make a poor
threshold.  A cross-validation of the same configuration gives many: each is measured with the model of the fold that
never heard them, a model like this one in all but some of its training speakers.

Pairs for the verification threshold are of two speakers measured with one model; where no two of them share an accent,
of a measured and a training speaker.

Everything is measured for one, two, four ... recordings of a speaker, as long as each speaker has so many, and as in
use: what a model that normalises by speaker knows of the voice is what these recordings say.

Shapes: G groups of a speaker's recordings, A accents, E embedding.  Cost: at most 60 speakers are measured (30 of each
fold), and of each eight groups at each number of recordings: for six recordings a speaker 54 forward passes.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from accent.configuration import load
from accent.errors import AccentError
from accent.files import sha256_of
from accent.inference.calibration import Basis, Calibration, Level, unknownness
from accent.inference.embedder import AccentEmbedder
from accent.inference.model_file import find_weights
from accent.metrics import fit_temperature, subsets_of_speakers
from accent.metrics.detection import equal_error_point
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.applications.profiles import measure_profiles
from launch.evaluation.evaluate import trained_halves_of
from launch.evaluation.fold_run import planned_runs
from launch.extraction.compatibility import check_features
from launch.extraction.extract import usable_device
from launch.extraction.terminal import track_on_terminal
from launch.run_config import RunConfig
from shards.shard_set.manifest import ShardSet, SpeakerEntry
from shards.shard_set.reader import ShardReader
from shards.shard_set.select import select_samples
from shards.splits.split import Split

KNOWN_CALLED_UNKNOWN = 0.1
"""Share of the known speakers' groups that the threshold for unknown accents may cost."""
MOST_SPEAKERS = 60
MOST_SPEAKERS_OF_A_FOLD = 30
MOST_GROUPS = 8
"""Of a speaker, at each number of recordings."""
MOST_RECORDINGS = 16
"""Taken together at most."""


@dataclass(frozen=True, eq=False)
class _Groups:
    """What the model makes of groups of recordings, each of one speaker."""

    embedding_GE: np.ndarray
    logits_GA: np.ndarray
    accent_G: np.ndarray
    """Names."""
    speaker_G: np.ndarray
    """Names."""
    seconds_G: np.ndarray


@dataclass(frozen=True, eq=False)
class _Source:
    """Speakers, and the model to measure them with."""

    embedder: AccentEmbedder
    speakers: list[SpeakerEntry]
    paired: list[SpeakerEntry]
    """With whom they are compared; the same list if with each other."""
    half_S: torch.Tensor | None = None


def calibrate_run(
    run: Path, shards: Path | None = None, device: torch.device | str | None = None, crossval: Path | None = None
) -> Calibration:
    """Measure a run's model and write `calibration.json` and `profiles.safetensors` beside its weights.

    Args:
        run: the run folder: `model/`, `split.json`, `config.yaml`.
        shards: the shard set of the run's speakers; the one that `config.yaml` names if not given.
        device: where to compute; a GPU if there is one.
        crossval: folder of a finished cross-validation of the run's configuration; its tested speakers are measured,
            each with the model of their fold, of the first seed.

    Returns:
        What was measured of its answers.

    Raises:
        AccentError: no model or split, no such shard set, features made otherwise than the model's, speakers of one
            accent only, or a cross-validation of another configuration.
    """
    device = usable_device(device)
    embedder = AccentEmbedder.load(run, device)
    weights = find_weights(run)
    parts = Split.load(run / "split.json")
    shard_set = ShardSet.open(shards if shards is not None else Path(load(RunConfig, run / "config.yaml").shards))
    check_features(shard_set, embedder.feature_config)
    validating = _chosen(shard_set, parts.validation, embedder.accents)
    training = _chosen(shard_set, parts.train, embedder.accents)
    basis: Basis = "validation speakers" if validating else "training speakers"
    if not (validating or training):
        raise AccentError(f"{shard_set.place}: holds no speaker of the run's split; name the shards it was trained on")
    # Nobody but the training speakers trained a phone head.
    half_S = trained_halves_of(run, shard_set) if isinstance(embedder.model, PhoneticEncoder) and training else None
    if crossval is None:
        measured = validating or training
        paired = measured if len({one.accent for one in measured}) < len(measured) else training
        sources = [_Source(embedder, measured, paired, half_S)]
    else:
        basis = "speakers of a cross-validation"
        sources = _sources_of_folds(crossval, shard_set, embedder, device)
    _check_accents(sources, f"{shard_set.place}: the {basis}")

    everyone = [one for source in sources for one in source.speakers]
    levels = []
    for size in _sizes(shard_set, everyone):
        pairs = []
        for source in sources:
            mine = _groups(source.embedder, shard_set, source.speakers, size, source.half_S)
            if source.paired is source.speakers:
                pairs.append((mine, mine))
            else:
                pairs.append((mine, _groups(source.embedder, shard_set, source.paired, size, source.half_S)))
        levels.append(_level(pairs, embedder.accents, size))
    profiled = training or validating
    everybody = [
        one for one in shard_set.manifest.speakers if one.name in set(parts.train) and one.accent in embedder.accents
    ]
    sha256 = sha256_of(weights)
    measure_profiles(embedder, sha256, shard_set, profiled, everybody or profiled, half_S).save(weights.parent)
    calibration = Calibration(sha256, basis, len(everyone), tuple(sorted(levels, key=lambda level: level.seconds)))
    calibration.save(weights.parent)
    return calibration


def _sources_of_folds(
    crossval: Path, shard_set: ShardSet, embedder: AccentEmbedder, device: torch.device
) -> list[_Source]:
    """Return the tested speakers of each fold with the model that never heard them."""
    sources = []
    runs = planned_runs(crossval)
    for run in runs:
        if run.seed != runs[0].seed:
            continue
        if not run.finished:
            raise AccentError(f"{crossval}: {run.name} is not finished; rerun accent crossval to resume it")
        of_fold = AccentEmbedder.load(run.folder, device)
        # The units of the phone heads are those that the training speakers say, which differ from fold to fold.
        ours, theirs = (dataclasses.replace(one.model.config, units=()) for one in (embedder, of_fold))
        if ours != theirs:
            raise AccentError(
                f"{run.folder}: its model is configured otherwise than this run's; give another --crossval"
            )
        tested = _chosen(shard_set, Split.load(run.split).test, of_fold.accents, MOST_SPEAKERS_OF_A_FOLD)
        if not tested:
            raise AccentError(f"{shard_set.place}: holds no speaker that {run.name} of {crossval} tested")
        sources.append(_Source(of_fold, tested, tested))
    return sources


def _check_accents(sources: Sequence[_Source], who: str) -> None:
    """Make sure that there are pairs of speakers of one accent and of two.

    Raises:
        AccentError: there are none.
    """
    if len({one.accent for source in sources for one in source.speakers}) < 2:
        raise AccentError(f"{who} share one accent; a calibration needs two")
    for source in sources:
        both = {one.name: one.accent for one in [*source.speakers, *source.paired]}
        if len(set(both.values())) < len(both):
            return
    raise AccentError(f"{who}: no two speakers share an accent; a calibration needs such pairs")


def _chosen(
    shard_set: ShardSet, wanted: Sequence[str], accents: Sequence[str], most: int = MOST_SPEAKERS
) -> list[SpeakerEntry]:
    """Return those of the wanted speakers that the shard set has and whose accent the model knows; not too many."""
    known = [one for one in shard_set.manifest.speakers if one.name in set(wanted) and one.accent in accents]
    by_accent: dict[str, list[SpeakerEntry]] = {accent: [] for accent in accents}
    for place in np.random.default_rng(0).permutation(len(known)):
        by_accent[known[place].accent].append(known[place])
    turns = [(turn, one) for speakers in by_accent.values() for turn, one in enumerate(speakers)]
    taken = [one for _, one in sorted(turns, key=lambda pair: (pair[0], pair[1].name))[:most]]
    return sorted(taken, key=lambda one: one.name)


def _sizes(shard_set: ShardSet, speakers: Sequence[SpeakerEntry]) -> list[int]:
    fewest = min(len(select_samples(shard_set, [one.name])) for one in speakers)
    return [2**power for power in range(min(fewest, MOST_RECORDINGS).bit_length())]


def _groups(
    embedder: AccentEmbedder,
    shard_set: ShardSet,
    speakers: Sequence[SpeakerEntry],
    size: int,
    half_S: torch.Tensor | None,
) -> _Groups:
    reader = ShardReader(shard_set)
    accents = {one.name: one.accent for one in speakers}
    sample_N = select_samples(shard_set, accents)
    speaker_N = np.array(shard_set.speakers)[shard_set.index["speaker"][sample_N]]
    predictions, names, seconds = [], [], []
    recordings_of = f"{size} recording{'s' if size > 1 else ''} a speaker"
    groups = subsets_of_speakers(speaker_N, size, MOST_GROUPS)
    for rows in track_on_terminal(_few_of_each(groups, speaker_N), recordings_of):
        frames = [reader.frames(int(sample)) for sample in sample_N[rows]]
        half = None if half_S is None else int(half_S[shard_set.index["speaker"][sample_N[rows[0]]]])
        predictions.append(embedder.predict_speaker(frames, half=half))
        names.append(speaker_N[rows[0]])
        seconds.append(sum(map(len, frames)) / shard_set.manifest.frames_per_second)
    return _Groups(
        np.stack([one.embedding_E for one in predictions]).astype(np.float64),
        np.stack([one.logits_A for one in predictions]),
        np.array([accents[name] for name in names]),
        np.array(names),
        np.array(seconds),
    )


def _few_of_each(groups: Sequence[np.ndarray], speaker_N: np.ndarray) -> list[np.ndarray]:
    """Return at most `MOST_GROUPS` groups of each speaker, evenly taken: of single recordings, all are drawn."""
    owner_G = np.array([speaker_N[rows[0]] for rows in groups])
    kept: list[np.ndarray] = []
    for name in np.unique(owner_G):
        mine = np.flatnonzero(owner_G == name)
        kept += [groups[at] for at in mine[np.linspace(0, len(mine) - 1, min(len(mine), MOST_GROUPS)).astype(int)]]
    return kept


def _level(pairs: Sequence[tuple[_Groups, _Groups]], accents: Sequence[str], size: int) -> Level:
    compared = [_compare(mine, theirs) for mine, theirs in pairs]
    score_n, same_n = (np.concatenate(parts) for parts in zip(*compared, strict=True))
    point = equal_error_point(score_n, same_n)
    logits_GA = np.concatenate([mine.logits_GA for mine, _ in pairs])
    label_G = np.array([accents.index(name) for mine, _ in pairs for name in mine.accent_G])
    unknown_G = unknownness(logits_GA)
    threshold = float(np.quantile(unknown_G, 1 - KNOWN_CALLED_UNKNOWN))
    return Level(
        recordings=size,
        seconds=float(np.median(np.concatenate([mine.seconds_G for mine, _ in pairs]))),
        temperature=fit_temperature(logits_GA, label_G),
        unknown_above=threshold,
        known_called_unknown=float((unknown_G > threshold).mean()),
        same_above=point.threshold,
        equal_error_rate=(point.false_acceptance + point.false_rejection) / 2,
    )


def _compare(mine: _Groups, theirs: _Groups) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine of every pair of two speakers, and whether they share an accent."""
    different_GG = mine.speaker_G[:, None] != theirs.speaker_G[None, :]
    if theirs is mine:
        different_GG = np.triu(different_GG)
    score_n = (mine.embedding_GE @ theirs.embedding_GE.T)[different_GG]
    same_n = (mine.accent_G[:, None] == theirs.accent_G[None, :])[different_GG]
    return score_n, same_n
