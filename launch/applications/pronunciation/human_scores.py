"""Goodness of pronunciation beside the scores that people gave, in the form of speechocean762's `scores.json`.

    {"000010011": {"text": ..., "accuracy": 8, ..., "words": [
        {"text": "WE", "accuracy": 10, "phones": ["W", "IY0"], "phones-accuracy": [2.0, 2.0], ...}, ...]}, ...}

The file says which phones each word should have; PocketSphinx finds them in the sound, so neither a dictionary nor a
TextGrid is needed.  Goodness of phones, words and utterances is set beside their accuracy as Pearson's correlation.

Source: Zhang et al., "speechocean762: An Open-Source Non-native English Speech Corpus For Pronunciation Assessment",
Interspeech 2021, and the corpus's own README.
Cost: an alignment, 0.03 s a second of sound, and scoring.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import pearsonr

from accent.errors import AccentError
from accent.features.phones import SILENCE, UNKNOWN, known_phone
from accent.inference.pronunciation import Expected, Pronunciation
from shards.alignment.aligner import Aligner


@dataclass(frozen=True)
class ScoredWord:
    """A word as people scored it."""

    text: str
    accuracy: float
    """0 ... 10."""
    phones: tuple[str, ...]
    """Of `PHONES`."""
    phone_accuracy: tuple[float, ...]
    """0 ... 2, of each phone."""


@dataclass(frozen=True)
class ScoredUtterance:
    """An utterance as people scored it."""

    accuracy: float
    """0 ... 10."""
    words: tuple[ScoredWord, ...]


def read_human_scores(path: Path) -> dict[str, ScoredUtterance]:
    """Read a file of scores.

    Args:
        path: JSON, as above.

    Returns:
        The utterances by identifier, which is the name of their sound file.

    Raises:
        AccentError: it cannot be read or has another form; the line says where.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AccentError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(values, dict) or not values:
        raise AccentError(f"{path}: no scores of utterances by name; this is no scores.json of speechocean762")
    found = {}
    for name, one in values.items():
        try:
            found[name] = ScoredUtterance(float(one["accuracy"]), tuple(_word(word) for word in one["words"]))
        except (KeyError, TypeError, ValueError) as error:
            what = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)
            raise AccentError(f"{path}: utterance {name}: {what}") from error
    return found


def _word(values: Mapping[str, Any]) -> ScoredWord:
    labels, accuracies = values["phones"], values["phones-accuracy"]
    phones = [known_phone(label) for label in labels]
    strange = [label for label, phone in zip(labels, phones, strict=True) if phone in (None, SILENCE, UNKNOWN)]
    if strange:
        raise ValueError(f"'{strange[0]}' in the word {values['text']} is no phone of ARPAbet")
    if len(labels) != len(accuracies) or not labels:
        raise ValueError(f"the word {values['text']} has {len(labels)} phones and {len(accuracies)} scores of phones")
    return ScoredWord(
        str(values["text"]), float(values["accuracy"]), tuple(str(one) for one in phones), tuple(map(float, accuracies))
    )


def align(aligner: Aligner, samples_N: np.ndarray, utterance: ScoredUtterance) -> Expected:
    """Find an utterance's words and phones in its sound.

    Args:
        aligner: of this process.
        samples_N: the recording at 16 kHz.
        utterance: what should have been said.

    Raises:
        AccentError: the words are not found in the sound.
    """
    found = aligner.align(samples_N, [word.text for word in utterance.words], [word.phones for word in utterance.words])
    return Expected([one for one in found.phones if one[2] != UNKNOWN], found.words)


def compare_with_people(utterances: Sequence[ScoredUtterance], scored: Sequence[Pronunciation]) -> dict[str, Any]:
    """Return Pearson's correlation of goodness with people's accuracy.

    Args:
        utterances: as people scored them.
        scored: the scores of each, of the phones that `align` found.

    Returns:
        Of phones, words and utterances: how many, and the correlation; None where one side is all alike.
    """
    pairs: dict[str, list[tuple[float, float | None]]] = {"phones": [], "words": [], "utterances": []}
    for utterance, answer in zip(utterances, scored, strict=True):
        accuracies = [accuracy for word in utterance.words for accuracy in word.phone_accuracy]
        pairs["phones"] += [(accuracy, one.goodness) for accuracy, one in zip(accuracies, answer.phones, strict=True)]
        pairs["words"] += [
            (word.accuracy, one.goodness) for word, one in zip(utterance.words, answer.words, strict=True)
        ]
        pairs["utterances"].append((utterance.accuracy, answer.goodness))
    return {level: _correlation(one) for level, one in pairs.items()}


def _correlation(pairs: Sequence[tuple[float, float | None]]) -> dict[str, Any]:
    told = np.array([pair for pair in pairs if pair[1] is not None], float).reshape(-1, 2)
    alike = len(told) < 2 or bool((np.ptp(told, axis=0) == 0).any())
    return {"count": len(told), "pearson": None if alike else float(pearsonr(told[:, 0], told[:, 1]).statistic)}
