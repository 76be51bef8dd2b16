"""What a corpus is: a sorted list of utterances, each with its speaker and accent, and a list of what was refused.

Readers (one file a kind of corpus) collect utterances; `chosen_speakers` applies the configuration's choice and
`assemble` checks what must hold in every corpus: keys are unique, a speaker has one accent, there is something.
Cost: one pass over the names and sizes, about 15 microseconds an utterance; sound is opened only where two files of
different speakers have one size.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Literal

from accent.errors import AccentError
from shards.corpora.names import composed, easily_confused, escaped, is_utf8
from shards.corpora.same_sound import shared_by_speakers

_logger = logging.getLogger(__name__)

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
"""File name endings, in lower case, that count as sound."""

MOST_SHARED = 5
"""Sounds under several speakers that are named; the others are counted."""


@dataclass(frozen=True)
class Utterance:
    """One recording of one speaker."""

    key: str
    """`SPEAKER-utterance`, unique in the corpus, only letters, digits, `_` and `-`."""
    path: Path
    """The sound file, absolute."""
    speaker: str
    """Name of the speaker as the corpus writes it."""
    accent: str
    """Accent label: the first language in L2-ARCTIC."""
    corpus: str
    """Name of the corpus."""
    prompt: str
    """Identifier shared by the speakers who read the same text."""
    text: str | None = None
    """What was read, as the transcript writes it."""
    sex: str | None = None
    """`female`, `male`, or None where the corpus does not say."""
    textgrid: Path | None = None
    """Praat TextGrid with aligned words and phones, absolute."""
    split: str | None = None
    """`train`, `validation` or `test` where the corpus prescribes it."""
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Whatever else the corpus says about the speaker or the utterance."""

    @property
    def language(self) -> str | None:
        """The language that is spoken, where the corpus says it in a column `language` (or `locale`)."""
        return self.extra.get("language")


@dataclass(frozen=True)
class Refusal:
    """An input that cannot be used."""

    path: str
    """The file or folder, relative to the corpus root where it lies inside."""
    reason: str
    """Why, in one line."""

    def __post_init__(self) -> None:
        # A manifest is UTF-8, and a terminal shows one line.
        object.__setattr__(self, "path", escaped(self.path))
        object.__setattr__(self, "reason", " ".join(escaped(self.reason).splitlines()))


@dataclass(frozen=True)
class Corpus:
    """The utterances of a corpus, sorted by key, and the inputs refused while listing them."""

    name: str
    """Name of the corpus, repeated in each utterance."""
    root: Path
    """Absolute folder that paths are reported relative to."""
    utterances: tuple[Utterance, ...]
    """Sorted by key; never empty."""
    refused: tuple[Refusal, ...]
    """Sorted by path and reason."""
    warnings: tuple[str, ...] = ()
    """What is used but looks wrong, one line each."""


@dataclass(frozen=True)
class CorpusConfig:
    """Which corpus is read, and which of its speakers."""

    kind: Literal["auto", "l2arctic", "tree", "table", "common_voice"] = "auto"
    """Layout: L2-ARCTIC or Common Voice as distributed, a tree with speakers.tsv, a table file, or told from what is
    there."""
    speakers: tuple[str, ...] = ()
    """Only these speakers, by name; empty: every speaker there is."""
    accents: tuple[str, ...] = ()
    """Only these accents; empty: every accent there is."""
    part: Literal["read", "suitcase"] = "read"
    """L2-ARCTIC only: the read sentences, or the spontaneous suitcase stories."""
    alignments: str | None = None
    """Folder that `accent align` wrote: its TextGrids are used for utterances that have none of their own."""
    accent_groups: dict[str, str] = field(default_factory=dict)
    """Common Voice only: what speakers write as their accent -> the accent it counts as; empty: as they write it."""
    min_clips: int = 1
    """Common Voice only: speakers with fewer clips that can be used are left out."""
    use_splits: bool = False
    """Common Voice only: take the speakers of train.tsv, dev.tsv and test.tsv as split, and leave out all others."""

    def __post_init__(self) -> None:
        for name in ("speakers", "accents"):
            values = getattr(self, name)
            repeated = sorted({value for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"{name}: '{repeated[0]}' is listed twice; list it once")
        if self.min_clips < 1:
            raise ValueError(f"min_clips: {self.min_clips} is not at least 1")
        if self.part == "suitcase" and self.kind not in ("auto", "l2arctic"):
            raise ValueError(f"part: only L2-ARCTIC has a suitcase part, not kind={self.kind}; leave it at 'read'")


def key_of(speaker: str, utterance: str) -> str:
    """Return the key `SPEAKER-utterance` with only letters, digits, `_` and `-` in it.

    A name that has other characters gets them replaced by `_` and six hexadecimal digits of its hash behind it, so
    that names which differ only in such characters (or are written in another script) keep different keys.
    """
    return f"{_plain(speaker)}-{_plain(utterance)}"


def _plain(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:6]}"


def chosen_speakers(accent_of: Mapping[str, str], config: CorpusConfig, where: Path) -> list[str]:
    """Return the speakers that the configuration asks for.

    Args:
        accent_of: accent of every speaker there is, by name.
        config: speakers and accents wanted; empty means all.
        where: the corpus, for the message.

    Returns:
        Names in the order of `accent_of`, at least one.

    Raises:
        AccentError: a wanted speaker or accent does not exist (the line gives the nearest one, or those there are), or
            no wanted speaker has a wanted accent.
    """
    for what, wanted, there in (
        ("speaker", config.speakers, sorted(accent_of)),
        ("accent", config.accents, sorted(set(accent_of.values()))),
    ):
        for name in map(composed, wanted):
            if name not in there:
                close = get_close_matches(name, there, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"there are: {_listing(there)}"
                raise AccentError(f"{where}: no {what} '{name}' (corpus.{what}s); {hint}")
    speakers, accents = set(map(composed, config.speakers)), set(map(composed, config.accents))
    chosen = [
        name for name, accent in accent_of.items() if name in (speakers or (name,)) and accent in (accents or (accent,))
    ]
    if not chosen:
        raise AccentError(f"{where}: none of corpus.speakers has one of corpus.accents; change one of the two")
    return chosen


def assemble(name: str, root: Path, utterances: Iterable[Utterance], refused: Iterable[Refusal]) -> Corpus:
    """Put a reader's utterances in order and check what must hold in every corpus.

    Args:
        name: name of the corpus.
        root: absolute folder of the corpus.
        utterances: what the reader found, in any order.
        refused: what the reader refused.

    Returns:
        The corpus.

    Raises:
        AccentError: two utterances with one key, a speaker with two accents (or sexes, or splits), or no utterance.
    """
    refused = list(refused)
    usable: list[Utterance] = []
    for utterance in utterances:
        fault = _not_utf8(utterance, root)
        if fault is None:
            usable.append(utterance)
        else:
            refused.append(fault)
    found = _with_facts_of_speakers(sorted(usable, key=lambda utterance: (utterance.key, str(utterance.path))))
    refused = tuple(sorted(refused, key=lambda refusal: (refusal.path, refusal.reason)))
    if not found:
        why = f"the first of {len(refused)} refused: {refused[0].path}: {refused[0].reason}" if refused else "no sound"
        raise AccentError(f"{root}: no usable sound file here ({', '.join(SOUND_SUFFIXES)}); {why}")
    for first, second in pairwise(found):
        if first.key == second.key:
            raise AccentError(f"two utterances have the key {first.key}: {first.path} and {second.path}; rename one")
    warnings = _warnings(found, root)
    for line in warnings:
        _logger.warning("warning: %s", line)
    return Corpus(name, root, tuple(found), refused, warnings)


def _not_utf8(utterance: Utterance, root: Path) -> Refusal | None:
    path = str(utterance.path.relative_to(root) if utterance.path.is_relative_to(root) else utterance.path)
    if not is_utf8(path):
        return Refusal(path, "its name is not UTF-8; rename it")
    texts = {
        "speaker": utterance.speaker,
        "accent": utterance.accent,
        "name": utterance.key,
        "prompt": utterance.prompt,
        "text": utterance.text or "",
        "TextGrid's name": str(utterance.textgrid or ""),
        **utterance.extra,
    }
    for what, text in texts.items():
        if not is_utf8(what + text):
            return Refusal(path, f"its {what} holds what UTF-8 cannot: {text[:60]}")
    return None


def _warnings(utterances: Sequence[Utterance], root: Path) -> tuple[str, ...]:
    lines = []
    for fact in ("accent", "speaker"):
        lines += [f"{fact}s {line}" for line in easily_confused({getattr(one, fact) for one in utterances})]
    shared = shared_by_speakers([one.path for one in utterances], [one.speaker for one in utterances])
    for path, speakers in shared[:MOST_SHARED]:
        lines.append(
            f"{path.relative_to(root) if path.is_relative_to(root) else path}: the same sound is given to "
            f"{len(speakers)} speakers ({_listing(speakers, 5)}), so one voice may be trained on and tested on"
        )
    if shared[MOST_SHARED:]:
        lines.append(f"{len(shared) - MOST_SHARED} other sounds are given to several speakers")
    return tuple(lines)


def _with_facts_of_speakers(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Give every utterance its speaker's sex and split, and refuse a speaker of whom two different things are said."""
    facts: dict[tuple[str, str], tuple[str, Path]] = {}
    for utterance in utterances:
        for fact in ("accent", "sex", "split"):
            value = getattr(utterance, fact)
            if value is None:
                continue
            known, path = facts.setdefault((utterance.speaker, fact), (value, utterance.path))
            if known != value:
                raise AccentError(
                    f"speaker {utterance.speaker} has {fact} '{known}' at {path} and '{value}' at {utterance.path}; "
                    f"a speaker has one {fact}"
                )

    def known_of(speaker: str, fact: str) -> str | None:
        return facts.get((speaker, fact), (None,))[0]

    return [
        replace(utterance, sex=known_of(utterance.speaker, "sex"), split=known_of(utterance.speaker, "split"))
        for utterance in utterances
    ]


def _listing(names: Sequence[str], most: int = 30) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
