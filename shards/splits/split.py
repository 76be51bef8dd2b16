"""Which speakers to train on, to validate on and to test on, and optionally which prompts to hold out.

Speakers, not utterances, are the independent units: a classifier that has heard a test speaker knows the voice, not the
accent.  A split is a small JSON file of its own; shards are never rewritten for one.

How speakers are drawn: those of an accent are sorted by a hash of (seed, speaker), so that one more speaker in another
accent changes nothing here.  Test and validation then take turns between women and men, from accent to accent too, so
that both sexes are heard where the corpus has both.  Cost: milliseconds.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accent.errors import AccentError
from accent.files import write_text
from shards.corpora.names import SPLIT_PARTS, split_part
from shards.shard_set.manifest import ShardSet, SpeakerEntry
from shards.shard_set.select import known_prompts


@dataclass(frozen=True)
class SplitConfig:
    """How to divide the speakers; ignored where the corpus table or a file does it."""

    validation_speakers: int = 1
    """Speakers of each accent to validate on."""
    test_speakers: int = 1
    """Speakers of each accent to test on."""
    held_out_prompts: float = 0.0
    """Share of the prompts that are never trained on, 0 ... 1."""
    seed: int = 0
    """Another seed, other speakers and prompts."""
    file: str | None = None
    """A split written before, to use as it is."""

    def __post_init__(self) -> None:
        for name in ("validation_speakers", "test_speakers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} is too small, at least 0")
        if not 0 <= self.held_out_prompts < 1:
            raise ValueError(f"held_out_prompts: {self.held_out_prompts} is no share of the prompts, 0 up to below 1")


@dataclass(frozen=True)
class Split:
    """Names of the speakers of each part, sorted, and of the prompts that are never trained on."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    held_out_prompts: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write the split as JSON; the file is whole or does not exist.

        Args:
            path: the file; its folder must exist.

        Raises:
            AccentError: it cannot be written.
        """
        write_text(path, json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read a split.

        Args:
            path: a file that `save` wrote, or one written by hand with the same keys.

        Returns:
            The split.

        Raises:
            AccentError: no such file, not a split, or a speaker in two parts.
        """
        if not path.is_file():
            raise AccentError(f"{path}: no such split file; a run folder gets one when its training starts")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise AccentError(f"{path}: not valid JSON ({error}); restore it, or delete it and train again") from error
        required, optional = {"train", "validation", "test"}, {"held_out_prompts"}
        if not isinstance(values, dict) or not required <= set(values) <= required | optional:
            raise AccentError(
                f"{path}: a split has the keys train, validation, test and optionally held_out_prompts, each a list"
            )
        for key, names in values.items():
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise AccentError(f"{path}: {key} is not a list of names")
        split = cls(**{key: tuple(sorted(names)) for key, names in values.items()})
        counts = Counter(split.train + split.validation + split.test)
        shared = sorted(name for name, count in counts.items() if count > 1)
        if shared:
            raise AccentError(
                f"{path}: {', '.join(shared)} named more than once; a speaker belongs to one of train, validation, test"
            )
        return split


def make_split(shard_set: ShardSet, config: SplitConfig | None = None) -> Split:
    """Divide the speakers of a shard set.

    A file named in the configuration wins; then the parts that the corpus table gave its speakers (all of them, or
    none); otherwise speakers are drawn by accent.

    Args:
        shard_set: whose speakers.
        config: how.

    Returns:
        The split: no speaker in two parts, every accent in train.

    Raises:
        AccentError: an accent with too few speakers, or missing from train; a split that names unknown speakers, shares
            one, or covers some speakers only.
    """
    config = config or SplitConfig()
    if config.file is not None:
        path = Path(config.file)
        split = Split.load(path)
        _check_names(split, shard_set, path)
        where = str(path)
    elif any(speaker.split is not None for speaker in shard_set.manifest.speakers):
        split = _from_table(shard_set, config)
        where = f"{shard_set.place}: the corpus table's split"
    else:
        split = _drawn(shard_set, config)
        where = str(shard_set.root)
    _check_accents(split, shard_set, where)
    return split


def _drawn(shard_set: ShardSet, config: SplitConfig) -> Split:
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    # The seed says which sex begins; test and validation begin with different ones and so ask for both of each accent.
    first = _hash(config.seed, "first sex", "")[0] % 2
    turns = {"test": first, "validation": first + 1}
    for accent, speakers in shard_set.speakers_by_accent.items():
        _check_enough(accent, speakers, config, shard_set)
        left = sorted(speakers, key=lambda speaker: _hash(config.seed, "speaker", speaker.name))
        for part, count in (("test", config.test_speakers), ("validation", config.validation_speakers)):
            for _ in range(count):
                chosen = _next_speaker(left, ("female", "male")[turns[part] % 2])
                left.remove(chosen)
                parts[part].append(chosen.name)
                turns[part] += 1
        parts["train"] += [speaker.name for speaker in left]
    return Split(
        train=tuple(sorted(parts["train"])),
        validation=tuple(sorted(parts["validation"])),
        test=tuple(sorted(parts["test"])),
        held_out_prompts=_held_out(shard_set, config),
    )


def _next_speaker(left: Sequence[SpeakerEntry], sex: str) -> SpeakerEntry:
    """Return the first speaker of the sex whose turn it is, or the first of all where there is none."""
    return next((speaker for speaker in left if speaker.sex == sex), left[0])


def _from_table(shard_set: ShardSet, config: SplitConfig) -> Split:
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for speaker in shard_set.manifest.speakers:
        if speaker.split is None:
            raise AccentError(
                f"{shard_set.place}: the corpus table gives a split to some speakers and none to {speaker.name}; "
                "give all of them one, or none, and featurize again, or name a split.file"
            )
        part = split_part(speaker.split)
        if part is None:
            raise AccentError(
                f"{shard_set.place}: speaker {speaker.name} has split '{speaker.split}'; "
                f"a corpus table may say {', '.join(SPLIT_PARTS)}"
            )
        parts[part].append(speaker.name)
    return Split(
        train=tuple(parts["train"]),
        validation=tuple(parts["validation"]),
        test=tuple(parts["test"]),
        held_out_prompts=_held_out(shard_set, config),
    )


def _held_out(shard_set: ShardSet, config: SplitConfig) -> tuple[str, ...]:
    if config.held_out_prompts == 0:
        return ()
    prompts = sorted(shard_set.prompts, key=lambda prompt: _hash(config.seed, "prompt", prompt))
    count = max(1, round(config.held_out_prompts * len(prompts)))
    if count >= len(prompts):
        raise AccentError(
            f"split.held_out_prompts: {config.held_out_prompts} of {len(prompts)} prompts leaves none to train on; "
            "hold out a smaller share"
        )
    return tuple(sorted(prompts[:count]))


def _check_enough(accent: str, speakers: Sequence[SpeakerEntry], config: SplitConfig, shard_set: ShardSet) -> None:
    asked = config.validation_speakers + config.test_speakers
    names = ", ".join(speaker.name for speaker in speakers)
    if asked and len(speakers) == 1:
        raise AccentError(
            f"{shard_set.place}: accent '{accent}' has one speaker ({names}), who cannot be both trained on and held "
            "out; add a speaker of this accent, or leave the accent out of the corpus"
        )
    if len(speakers) <= asked:
        raise AccentError(
            f"{shard_set.place}: accent '{accent}' has {len(speakers)} speakers ({names}), too few for "
            f"split.validation_speakers={config.validation_speakers} and split.test_speakers={config.test_speakers} "
            "and at least one to train on; ask for fewer, or add speakers"
        )


def _check_names(split: Split, shard_set: ShardSet, path: Path) -> None:
    speakers = set(split.train + split.validation + split.test)
    for kind, unknown in (
        ("speaker", sorted(speakers - set(shard_set.speakers))),
        ("prompt", sorted(set(split.held_out_prompts) - set(known_prompts(shard_set, split.held_out_prompts)))),
    ):
        if unknown:
            shown = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
            raise AccentError(
                f"{path}: no {kind} {shown} in {shard_set.place}; the split was made for another shard set?"
            )


def _check_accents(split: Split, shard_set: ShardSet, where: str) -> None:
    trained = {shard_set.accents[shard_set.speaker_accent_S[at]] for at in shard_set.speaker_positions(split.train)}
    missing = [accent for accent in shard_set.accents if accent not in trained]
    if missing:
        raise AccentError(
            f"{where}: no training speaker has the accent {', '.join(missing)}; move a speaker of it to train"
        )


def _hash(seed: int, kind: str, name: str) -> bytes:
    return hashlib.sha256(json.dumps([seed, kind, name]).encode()).digest()
