"""What the recordings of a shard set sound like, by speaker: vowels, melody, rhythm.

A description of the corpus, training and unseen speakers alike; no model takes part in it.

Shapes: N utterances, T frames, P points of a contour, W vowels said.  Cost: reads at most 1,500 utterances of about
100 KB.
"""

from dataclasses import dataclass

import numpy as np

from accent.features.phones import PHONES
from accent.features.schema import column_index
from accent.features.utterance.rhythm import RHYTHM_COLUMNS
from accent.features.utterance.vowels import MONOPHTHONGS
from accent.metrics.estimate import thin
from accent.model.phonetic.inventory import segments
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader

MOST_UTTERANCES = 1_500
"""Read of a shard set, evenly over its speakers."""
CONTOUR_POINTS = 20
"""Equal parts of an utterance's time."""
_F0, _F1, _F2 = (column_index(name) for name in ("f0_hz", "f1_hz", "f2_hz"))
_VOWEL_NUMBERS = {PHONES.index(vowel): vowel for vowel in MONOPHTHONGS}


@dataclass(frozen=True, eq=False)
class Speech:
    """Measures of utterances, and of the vowels said in them."""

    speaker_N: np.ndarray
    """Names."""
    accent_of: dict[str, str]
    """Speaker -> accent."""
    aligned: bool
    """Whether any utterance has an alignment."""
    f0_NP: np.ndarray
    """F0 in semitones from the speaker's median, over the utterance's time; NaN where nothing is voiced."""
    rhythm_NR: np.ndarray
    """Measures of rhythm, in the order of `RHYTHM_COLUMNS`; NaN where undefined."""
    vowel_W: np.ndarray
    """Labels of the vowels said."""
    vowel_speaker_W: np.ndarray
    """Names."""
    formant_W2: np.ndarray
    """Median F1 and F2 over the middle half of each, in Hz."""

    @property
    def accents(self) -> list[str]:
        """Names, in order."""
        return sorted(set(self.accent_of.values()))

    def speakers_of(self, accent: str) -> list[str]:
        """Return the speakers of an accent who were read."""
        return [name for name in np.unique(self.speaker_N) if self.accent_of[name] == accent]


def read_speech(shard_set: ShardSet, most: int = MOST_UTTERANCES, seed: int = 0) -> Speech:
    """Read the utterances of a shard set.

    Args:
        shard_set: where they are.
        most: utterances, evenly over speakers.
        seed: of their choice.

    Raises:
        AccentError: a sample cannot be read.
    """
    reader = ShardReader(shard_set)
    names_N = np.array(shard_set.speakers)[shard_set.index["speaker"]]
    number_N = thin(names_N, most, seed)
    f0, rhythm, vowels = [], [], []
    aligned = False
    for number in number_N:
        frames_TD = reader.frames(number).astype(np.float64)
        phones_T = reader.phones(number)
        measured = reader.metadata(number).get("utterance") or {}
        f0.append(frames_TD[:, _F0])
        rhythm.append([_number(measured.get(column)) for column in RHYTHM_COLUMNS])
        if phones_T is not None:
            aligned = True
            vowels += [(names_N[number], *one) for one in vowels_of(frames_TD, phones_T)]
    speaker_N = names_N[number_N]
    medians = {
        speaker: _median(np.concatenate([f0[row] for row in np.flatnonzero(speaker_N == speaker)]))
        for speaker in np.unique(speaker_N)
    }
    return Speech(
        speaker_N=speaker_N,
        accent_of={one.name: one.accent for one in shard_set.manifest.speakers},
        aligned=aligned,
        f0_NP=np.stack([contour(one, medians[name]) for one, name in zip(f0, speaker_N, strict=True)]),
        rhythm_NR=np.array(rhythm, dtype=np.float64),
        vowel_W=np.array([label for _, label, _, _ in vowels]),
        vowel_speaker_W=np.array([name for name, _, _, _ in vowels]),
        formant_W2=np.array([[f1, f2] for _, _, f1, f2 in vowels]).reshape(-1, 2),
    )


def vowels_of(frames_TD: np.ndarray, phones_T: np.ndarray) -> list[tuple[str, float, float]]:
    """Return every monophthong said: its label and the medians of F1 and F2 over its middle half, in Hz."""
    found = []
    for phone, start, length in zip(*(part.tolist() for part in segments(phones_T)), strict=True):
        if phone not in _VOWEL_NUMBERS:
            continue
        middle = slice(start + length // 4, start + length - length // 4)
        f1_t, f2_t = frames_TD[middle, _F1], frames_TD[middle, _F2]
        defined_t = np.isfinite(f1_t) & np.isfinite(f2_t)
        if defined_t.any():
            place = (float(np.median(f1_t[defined_t])), float(np.median(f2_t[defined_t])))
            found.append((_VOWEL_NUMBERS[phone], *place))
    return found


def contour(f0_T: np.ndarray, median_hz: float) -> np.ndarray:
    """Return the mean F0 in each of `CONTOUR_POINTS` equal parts of time, in semitones from a speaker's median.

    >>> contour(np.array([100.0, 200.0] * 20), 100.0)[:2]
    array([6., 6.])
    """
    voiced_T = np.isfinite(f0_T) & (f0_T > 0)
    part_T = np.arange(len(f0_T)) * CONTOUR_POINTS // len(f0_T)
    semitone_T = 12 * np.log2(np.where(voiced_T, f0_T, 1.0) / median_hz)
    count_P = np.bincount(part_T[voiced_T], minlength=CONTOUR_POINTS)
    sum_P = np.bincount(part_T[voiced_T], semitone_T[voiced_T], CONTOUR_POINTS)
    return np.where(count_P > 0, sum_P / np.maximum(count_P, 1), np.nan)


def mean_and_error(values_SK: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard error of the mean and count over the first axis, NaN left out.

    Args:
        values_SK: a row a speaker.

    Returns:
        Three arrays [K]; NaN where nobody (or, for the error, one speaker) has a value.
    """
    defined_SK = np.isfinite(values_SK)
    count_K = defined_SK.sum(0)
    some_K, several_K = np.where(count_K > 0, count_K, np.nan), np.where(count_K > 1, count_K - 1, np.nan)
    mean_K = np.where(defined_SK, values_SK, 0).sum(0) / some_K
    variance_K = np.where(defined_SK, (values_SK - mean_K) ** 2, 0).sum(0) / several_K
    return mean_K, np.sqrt(variance_K / some_K), count_K


def by_speaker(values_NK: np.ndarray, speaker_N: np.ndarray, speakers: list[str]) -> np.ndarray:
    """Return each speaker's mean over their utterances, NaN left out: [S, K]."""
    return np.stack([mean_and_error(values_NK[speaker_N == name])[0] for name in speakers])


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _median(f0_T: np.ndarray) -> float:
    voiced_T = f0_T[np.isfinite(f0_T) & (f0_T > 0)]
    return float(np.median(voiced_T)) if len(voiced_T) else 1.0
