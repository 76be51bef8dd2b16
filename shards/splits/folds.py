"""Cross-validation folds: every speaker is tested once, by models that never heard that speaker.

A protocol is a name ("leave-one-speaker-out", "leave-one-speaker-per-accent-out"), a number of folds, or a file that
says where each speaker belongs.  A fold is a `Split`: its test speakers, and validation speakers drawn from the
remaining ones, so that every setting (early stopping, threshold, calibration) is chosen on training speakers only.
Pure functions of the speakers' names, accents and sexes.  Cost: milliseconds.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accent.errors import AccentError
from shards.shard_set.manifest import ShardSet, SpeakerEntry
from shards.splits.split import Split

LEAVE_ONE_OUT = "leave-one-speaker-out"
LEAVE_ONE_PER_ACCENT_OUT = "leave-one-speaker-per-accent-out"
_FOLD_COLUMNS = ("fold", "part", "split")
_PARTS = ("train", "validation", "test")


def deal_folds(speakers: Iterable[SpeakerEntry], n_folds: int, seed: int = 0) -> dict[str, int]:
    """Deal speakers into folds like cards, accent by accent and sex by sex.

    The turn continues from one group to the next, so that fold sizes differ by at most one, and so do the folds' shares
    of each accent and sex.

    Args:
        speakers: whom to deal.
        n_folds: how many folds.
        seed: of the order within each accent and sex.

    Returns:
        Speaker -> fold, 0 .. n_folds - 1.
    """
    entries = list(speakers)
    folds: dict[str, int] = {}
    for accent in sorted({speaker.accent for speaker in entries}):
        for sex in sorted({speaker.sex or "" for speaker in entries}):
            names = sorted(one.name for one in entries if one.accent == accent and (one.sex or "") == sex)
            for position in np.random.Generator(np.random.Philox(seed)).permutation(len(names)):
                folds[names[position]] = len(folds) % n_folds
    return folds


def leave_one_speaker_out(speakers: Iterable[SpeakerEntry]) -> dict[str, int]:
    """Give every speaker a fold of their own, in the order of the names."""
    return {name: fold for fold, name in enumerate(sorted(speaker.name for speaker in speakers))}


def leave_one_speaker_per_accent_out(speakers: Iterable[SpeakerEntry], seed: int = 0) -> dict[str, int]:
    """Put one speaker of every accent into each fold; an accent with fewer speakers than another misses some folds.

    Args:
        speakers: whom to deal.
        seed: of the order within each accent.

    Returns:
        Speaker -> fold; as many folds as the largest accent has speakers.
    """
    entries = list(speakers)
    folds: dict[str, int] = {}
    for accent in sorted({speaker.accent for speaker in entries}):
        names = sorted(speaker.name for speaker in entries if speaker.accent == accent)
        order = np.random.Generator(np.random.Philox(seed)).permutation(len(names))
        folds.update({names[position]: fold for fold, position in enumerate(order)})
    return folds


def read_assignment(path: Path) -> dict[str, str]:
    """Read a file that assigns speakers to folds or to parts.

    Args:
        path: JSON `{"ABA": 0, "SKA": 1}` or `{"ABA": "train", "SKA": "test"}`, or a table (.tsv, .csv) with a column
            `speaker` and a column `fold`, `part` or `split`.

    Returns:
        Speaker -> the fold or part as text.

    Raises:
        AccentError: no such file, another content, or a speaker in two places.
    """
    if not path.is_file():
        raise AccentError(
            f"{path}: no such file of folds; give a number, {LEAVE_ONE_OUT} or {LEAVE_ONE_PER_ACCENT_OUT}"
        )
    pairs = _pairs_of_json(path) if path.suffix == ".json" else _pairs_of_table(path)
    assignment: dict[str, str] = {}
    for speaker, place in pairs:
        if assignment.setdefault(speaker, place) != place:
            raise AccentError(
                f"{path}: speaker {speaker} is in {assignment[speaker]} and in {place}; a speaker belongs to one fold"
            )
    if not assignment:
        raise AccentError(f"{path}: assigns no speaker; write one line a speaker")
    return assignment


def make_folds(
    shard_set: ShardSet,
    protocol: str,
    seed: int = 0,
    validation_speakers: int = 1,
    held_out_prompts: float = 0.0,
    training_speakers: int | None = None,
) -> list[Split]:
    """Divide a shard set's speakers into the folds of a protocol.

    Args:
        shard_set: whose speakers.
        protocol: "leave-one-speaker-out", "leave-one-speaker-per-accent-out", a number of folds, or a path that
            `read_assignment` reads; a file of parts makes a single fold.
        seed: of the deal and of the choice of validation speakers and prompts.
        validation_speakers: drawn for each accent from the fold's training speakers; 0 draws none.
        held_out_prompts: share of the prompts that a fold tests on and never trains on; each fold takes others.
        training_speakers: keep so many speakers to train on, dealt by accent and sex (the validation speakers
            included); None keeps all.

    Returns:
        The folds in order: no speaker in two parts, every accent in train.

    Raises:
        AccentError: a protocol that is not known, a file that does not fit the shard set, or an accent with too few
            speakers.
    """
    entries = shard_set.manifest.speakers
    assignment = _assignment(shard_set, protocol, seed)
    if set(assignment.values()) <= set(_PARTS):
        given = {part: tuple(sorted(name for name, at in assignment.items() if at == part)) for part in _PARTS}
        if not given["test"]:
            raise AccentError(f"{protocol}: no speaker has the part test; nobody would be tested")
        outer = [(given["train"], given["validation"], given["test"])]
    else:
        outer = []
        for fold in sorted(set(assignment.values()), key=_natural):
            test = tuple(sorted(name for name, at in assignment.items() if at == fold))
            outer.append((tuple(sorted(set(assignment) - set(test))), (), test))
    if not held_out_prompts:
        prompts: list[tuple[str, ...]] = [()] * len(outer)
    else:
        prompts = deal_prompts(shard_set.prompts, len(outer), held_out_prompts, seed)
    splits = []
    for number, ((train, validation, test), held_out) in enumerate(zip(outer, prompts, strict=True)):
        where = f"{shard_set.place}: fold {number} of {protocol}"
        if training_speakers is not None:
            train = _fewer(entries, train, training_speakers, seed)
        if not validation and validation_speakers:
            validation = _draw_validation(entries, train, validation_speakers, (seed, number), where)
        split = Split(tuple(sorted(set(train) - set(validation))), validation, test, held_out)
        _check_accents(entries, split, where)
        splits.append(split)
    return splits


def deal_prompts(prompts: Sequence[str], n_folds: int, share: float, seed: int = 0) -> list[tuple[str, ...]]:
    """Choose the prompts that each fold holds out: the same number in every fold, in turns over all prompts.

    Args:
        prompts: all prompts of a parallel corpus.
        n_folds: how many folds.
        share: of the prompts that one fold holds out, 0 .. 1.
        seed: of the order.

    Returns:
        The held-out prompts of each fold, sorted.

    Raises:
        AccentError: nothing would be left to train on.
    """
    order = sorted(prompts, key=lambda prompt: _hash(seed, "prompt", prompt))
    count = max(1, round(share * len(order)))
    if count >= len(order):
        raise AccentError(
            f"held-out prompts: {share} of {len(order)} prompts leaves none to train on; hold out a smaller share"
        )
    return [
        tuple(sorted(order[(fold * count + place) % len(order)] for place in range(count))) for fold in range(n_folds)
    ]


def _assignment(shard_set: ShardSet, protocol: str, seed: int) -> dict[str, str]:
    entries = shard_set.manifest.speakers
    if protocol == LEAVE_ONE_OUT:
        dealt = leave_one_speaker_out(entries)
    elif protocol == LEAVE_ONE_PER_ACCENT_OUT:
        dealt = leave_one_speaker_per_accent_out(entries, seed)
    elif protocol.isdecimal():
        if not 2 <= int(protocol) <= len(entries):
            raise AccentError(f"--folds {protocol}: between 2 and the {len(entries)} speakers of {shard_set.place}")
        dealt = deal_folds(entries, int(protocol), seed)
    else:
        assignment = read_assignment(Path(protocol))
        unknown, missing = sorted(set(assignment) - set(shard_set.speakers)), set(shard_set.speakers) - set(assignment)
        if unknown or missing:
            wrong = f"no speaker {', '.join(unknown[:5])} in {shard_set.place}" if unknown else ""
            left = f"{', '.join(sorted(missing)[:5])} of {shard_set.place} in no fold" if missing else ""
            raise AccentError(f"{protocol}: {'; '.join(filter(None, (wrong, left)))}; name every speaker once")
        return assignment
    return {name: str(fold) for name, fold in dealt.items()}


def _pairs_of_json(path: Path) -> list[tuple[str, str]]:
    try:
        # Pairs, not a mapping: a mapping would silently keep the last of two places of one speaker.
        pairs: Any = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    except ValueError as error:
        raise AccentError(f"{path}: not valid JSON ({error}); write an object of speaker: fold") from error
    if not isinstance(pairs, list) or not all(
        isinstance(pair, tuple) and isinstance(pair[1], (int, str)) and not isinstance(pair[1], bool) for pair in pairs
    ):
        raise AccentError(f"{path}: not an object of speaker: fold; write for instance {{'ABA': 0, 'SKA': 1}}")
    return [(speaker, str(place)) for speaker, place in pairs]


def _pairs_of_table(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t")
        rows = list(reader)
    columns = reader.fieldnames or []
    place = next((name for name in _FOLD_COLUMNS if name in columns), None)
    if "speaker" not in columns or place is None:
        raise AccentError(
            f"{path}: columns {', '.join(columns) or 'none'}; a table of folds has speaker and fold (or part)"
        )
    for number, row in enumerate(rows, start=2):
        if not row["speaker"] or not row[place]:
            raise AccentError(f"{path}: line {number} has no speaker or no {place}; fill it in, or remove the line")
    return [(row["speaker"], row[place]) for row in rows]


def _draw_validation(
    entries: Sequence[SpeakerEntry], train: Iterable[str], count: int, key: tuple[int, int], where: str
) -> tuple[str, ...]:
    """Draw validation speakers of each accent from a fold's training speakers, women and men in turns."""
    chosen: list[str] = []
    training = set(train)
    turn = 0
    for accent in sorted({one.accent for one in entries if one.name in training}):
        left = sorted(
            (one for one in entries if one.name in training and one.accent == accent),
            key=lambda one: _hash(*key, "validation", one.name),
        )
        if len(left) <= count:
            raise AccentError(
                f"{where}: accent '{accent}' has {len(left)} training speakers, too few to validate on {count}; "
                "validate on fewer"
            )
        for _ in range(count):
            wanted = ("female", "male")[turn % 2]
            speaker = next((one for one in left if one.sex == wanted), left[0])
            left.remove(speaker)
            chosen.append(speaker.name)
            turn += 1
    return tuple(sorted(chosen))


def _fewer(entries: Sequence[SpeakerEntry], train: Iterable[str], count: int, seed: int) -> tuple[str, ...]:
    """Keep some training speakers, spread over accents and sexes; a larger count keeps all those of a smaller one."""
    training = set(train)
    if not 1 <= count <= len(training):
        raise AccentError(
            f"training speakers: {count} asked for, a fold has {len(training)}; ask for at most that many"
        )
    groups: dict[tuple[str, str], int] = {}
    turns = []
    for one in sorted(entries, key=lambda one: _hash(seed, "fewer", one.name)):
        if one.name in training:
            group = (one.accent, one.sex or "")
            turns.append((groups.setdefault(group, 0), _hash(seed, "group", *group), one.name))
            groups[group] += 1
    return tuple(sorted(name for _, _, name in sorted(turns)[:count]))


def _check_accents(entries: Sequence[SpeakerEntry], split: Split, where: str) -> None:
    accent = {one.name: one.accent for one in entries}
    missing = sorted({accent[name] for name in split.test} - {accent[name] for name in split.train})
    if missing:
        raise AccentError(f"{where}: no training speaker has the accent {', '.join(missing)}; use fewer folds")


def _natural(fold: str) -> tuple[int, str]:
    return (int(fold), "") if fold.isdecimal() else (1 << 62, fold)


def _hash(*words: object) -> bytes:
    return hashlib.sha256(json.dumps(words).encode()).digest()


def assignment_of(splits: Sequence[Split]) -> Mapping[str, int]:
    """Return speaker -> the fold that tests this speaker."""
    return {name: fold for fold, split in enumerate(splits) for name in split.test}
