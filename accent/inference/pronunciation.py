"""How well each phone was said, from what the phone heads believe of each frame by itself.

    goodness     mean over the phone's frames of log P(phone), minus the same of the phone that fits them best; 0 where
                 the expected phone fits best, and the lower, the better another one does
    heard        the phone that fits best; `sil` where nothing fits better, as in a phone that was left out

A word's goodness is the mean of its phones, a recording's the mean of all of its phones.  A phone that the model was
never trained on, or that lies in silence that was cut off, has no goodness and counts in no mean.

Goodness knows no accent: the heads heard all training speakers.  How far a phone lies from one accent's realisation is
told by `accent.inference.realisations`; `with_distances` puts that beside the goodness.

Shapes: T frames, P phones of `PHONES`.  Cost: a pass over the frames.  Numbers in, numbers out: no torch.

Source: Witt and Young 2000, "Phone-level pronunciation scoring and assessment for interactive language learning"; with
posteriors of a network as Hu et al. 2015, "Improved mispronunciation detection with deep neural network trained
acoustic models and transfer learning based logistic regression classifiers".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from accent.features.phones import PHONES, SILENCE, UNKNOWN
from accent.features.textgrid import WORD_TIERS, read_alignment, read_labels
from accent.grid import FRAMES_PER_SECOND
from accent.model.phonetic.inventory import segments

FLOOR = 1e-6
"""Added to a probability before its logarithm: no single frame decides."""
Interval = tuple[float, float, str]
"""Start and end in seconds of the recording, and a label."""


class PhonePrediction(NamedTuple):
    """What a phonetic model hears in one recording; P as in `PHONES`."""

    alone_TP: np.ndarray
    """float32: probability of each phone, of each frame by itself."""
    decoded_TP: np.ndarray
    """float32: probability of each phone, given the whole recording."""
    known_P: np.ndarray
    """bool: phones that the model was trained on."""


@dataclass(frozen=True)
class Expected:
    """What should have been said, and when."""

    phones: Sequence[Interval]
    """Labels of `PHONES`, in order of time; silence may be left out."""
    words: Sequence[Interval] = ()
    """In order of time; a phone belongs to the word that its middle lies in."""

    @classmethod
    def read(cls, textgrid: Path) -> "Expected":
        """Read a TextGrid with a tier of phones and perhaps one of words.

        Raises:
            AccentError: it cannot be read, or has no tier of phones.
        """
        words = [word for word in read_labels(textgrid, WORD_TIERS) if word[2]]
        return cls(read_alignment(textgrid).intervals, words)


@dataclass(frozen=True)
class PhoneScore:
    """How well one phone was said."""

    phone: str
    """Which was expected, or decoded where nobody said what was."""
    start: float
    """Seconds."""
    end: float
    """Seconds."""
    goodness: float | None
    """At most 0, which is best; None where it cannot be told."""
    heard: str | None
    """The phone that fits best."""
    distance: float | None = None
    """From the target accent's realisation; about 1 is typical of that accent.  None where no target was given, or it
    cannot be told."""


@dataclass(frozen=True)
class WordScore:
    """How well one word was said."""

    word: str
    start: float
    end: float
    goodness: float | None
    """Mean of its phones."""
    distance: float | None = None
    """Mean of its phones."""


@dataclass(frozen=True)
class Pronunciation:
    """How well a recording was said."""

    phones: tuple[PhoneScore, ...]
    words: tuple[WordScore, ...]
    goodness: float | None
    """Mean of all phones."""
    expected: bool
    """Whether somebody said what should be heard; else the phones are decoded."""
    distance: float | None = None
    """Mean of all phones."""


def score_pronunciation(heard: PhonePrediction, first_frame: int, expected: Expected | None = None) -> Pronunciation:
    """Score a recording.

    Args:
        heard: what the phone heads believe.
        first_frame: the first of its frames, on the recording's grid.
        expected: what should have been said; None: what is most probable given the whole recording.

    Returns:
        The scores, in order of time; silence and speech that is no phone have none.
    """
    intervals = decoded_phones(heard.decoded_TP, first_frame) if expected is None else expected.phones
    log_TP = np.log(heard.alone_TP.astype(np.float64) + FLOOR)
    # A head says nothing of phones it never met: they are no rivals.
    log_TP[:, ~heard.known_P] = -np.inf
    phones = tuple(
        _score(interval, log_TP, first_frame, heard.known_P)
        for interval in intervals
        if interval[2] not in (SILENCE, UNKNOWN)
    )
    words = [] if expected is None else expected.words
    return Pronunciation(
        phones,
        tuple(
            WordScore(word, start, end, _mean(one.goodness for one in phones_within(phones, start, end)))
            for start, end, word in words
        ),
        _mean(one.goodness for one in phones),
        expected is not None,
    )


def with_distances(pronunciation: Pronunciation, distance_N: np.ndarray) -> Pronunciation:
    """Return the scores with distances from a target accent beside them.

    Args:
        pronunciation: the scores.
        distance_N: of each of its phones; NaN where it cannot be told.
    """
    phones = tuple(
        replace(one, distance=None if np.isnan(distance) else float(distance))
        for one, distance in zip(pronunciation.phones, distance_N, strict=True)
    )
    words = tuple(
        replace(word, distance=_mean(one.distance for one in phones_within(phones, word.start, word.end)))
        for word in pronunciation.words
    )
    return replace(pronunciation, phones=phones, words=words, distance=_mean(one.distance for one in phones))


def phones_within(phones: Sequence[PhoneScore], start: float, end: float) -> list[PhoneScore]:
    """Return the phones whose middles lie in an interval, in seconds."""
    return [one for one in phones if start <= (one.start + one.end) / 2 < end]


def frames_of(start: float, end: float, first_frame: int, frames: int) -> tuple[int, int]:
    """Return the frames whose centres an interval holds, rounded as in `phone_ids_on_grid`.

    Args:
        start: seconds of the recording.
        end: seconds of the recording.
        first_frame: the first frame there is, on the recording's grid.
        frames: how many there are.

    Returns:
        The first, counted from `first_frame`, and the one after the last.
    """
    first, last = (
        int(np.clip(np.ceil(round(edge * FRAMES_PER_SECOND, 4)) - first_frame, 0, frames)) for edge in (start, end)
    )
    return first, last


def decoded_phones(decoded_TP: np.ndarray, first_frame: int) -> list[Interval]:
    """Return the phones that are most probable, as intervals.

    Args:
        decoded_TP: probability of each phone, given the whole recording.
        first_frame: the first frame, on the recording's grid.

    >>> decoded_phones(np.eye(len(PHONES))[[0, 0, 1, 1]], 10)
    [(0.095, 0.115, 'sil'), (0.115, 0.135, 'AA')]
    """
    found = segments(decoded_TP.argmax(1))
    # A frame stands for the 10 ms around its centre.
    edges = np.append(found.start_P, len(decoded_TP)) + first_frame - 0.5
    seconds = (np.maximum(edges, 0) / FRAMES_PER_SECOND).round(6).tolist()
    return [(start, end, PHONES[phone]) for start, end, phone in zip(seconds, seconds[1:], found.phone_P, strict=False)]


def _score(interval: Interval, log_TP: np.ndarray, first_frame: int, known_P: np.ndarray) -> PhoneScore:
    start, end, phone = interval
    number = PHONES.index(phone)
    first, last = frames_of(start, end, first_frame, len(log_TP))
    if first >= last or not known_P[number]:
        return PhoneScore(phone, start, end, None, None)
    mean_P = log_TP[first:last].mean(0)
    best = int(mean_P.argmax())
    return PhoneScore(phone, start, end, float(mean_P[number] - mean_P[best]), PHONES[best])


def _mean(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return float(np.mean(told)) if told else None
