"""Forced alignment of one recording by PocketSphinx, with the English acoustic model and dictionary of its wheel.

The first pass finds the words, the pauses between them and which pronunciation was spoken; the second finds the phones
within these words.  An interval begins with its first frame of 10 ms; against the times of a synthesiser, half of the
words begin too early and half too late, so nothing is corrected.
Cost: about 0.3 s a process; then 0.03 s a second of sound on one core.

Source: Huggins-Daines et al., "PocketSphinx: A Free, Real-Time Continuous Speech Recognition System for Hand-Held
Devices", ICASSP 2006.

Shape legend: N samples at 16 kHz.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from accent.errors import AccentError
from accent.features.phones import UNKNOWN
from accent.grid import FRAMES_PER_SECOND, SAMPLE_RATE
from shards.alignment.dictionary import read_dictionary
from shards.corpora.textgrid import Interval

if TYPE_CHECKING:
    from pocketsphinx import Alignment as Words
    from pocketsphinx import AlignmentEntry, Decoder

PEAK = 0.5
"""Of full scale: every recording is brought to this peak, so that its level changes nothing."""
_FULL_SCALE = 32_768
_FILLERS = ("<", "[")
"""How the names of the model's own words for silence and noise begin."""
_NO_SPEECH = frozenset({"SIL", "+NSN+"})
"""Phones of the model that are silence and noise."""


@dataclass(frozen=True)
class Alignment:
    """Intervals of speech in order of time, (start, end, label) in seconds; what lies between them is silence."""

    words: list[Interval]
    phones: list[Interval]


class Aligner:
    """An aligner of English; keep one a process.

    Args:
        dictionary: pronunciations of the user's, beside those of the wheel's dictionary.

    Raises:
        AccentError: PocketSphinx is not installed, or the dictionary cannot be read.
    """

    def __init__(self, dictionary: Path | None = None) -> None:
        self._own = [] if dictionary is None else read_dictionary(dictionary)
        self._decoder = self._load()

    def knows(self, word: str) -> bool:
        """Tell whether the dictionary has a word, in lower case."""
        # The model's fillers, <sil> and [NOISE], are in its dictionary too.
        return not word.startswith(_FILLERS) and self._decoder.lookup_word(word) is not None

    def pronunciation(self, word: str) -> list[str]:
        """Return the phones, in ARPAbet without stress, of the dictionary's first pronunciation of a known word."""
        return str(self._decoder.lookup_word(word)).split()

    def align(
        self, samples_N: np.ndarray, words: Sequence[str], phones: Sequence[Sequence[str]] | None = None
    ) -> Alignment:
        """Find the words and their phones in a recording.

        Args:
            samples_N: the recording at 16 kHz, not silent.
            words: what is said; every word known, unless phones are given.
            phones: the phones of each word, in ARPAbet without stress, instead of the dictionary's.

        Returns:
            Words in the spelling given, and phones in ARPAbet without stress.

        Raises:
            AccentError: these words are not found in this sound.
        """
        names = words if phones is None else [self._named(one) for one in phones]
        try:
            found = self._two_passes(_as_16_bits(samples_N), names)
        except RuntimeError:
            # A search that failed half way may end the process when the decoder is used again.
            self._decoder = self._load()
            found = None
        seconds = len(samples_N) / SAMPLE_RATE
        spoken = [word for word in found or () if not word.name.startswith(_FILLERS)]
        if found is None or len(spoken) != len(words):
            raise AccentError(
                f"its {len(words)} words are not found in its {seconds:.1f} s of sound; "
                "see that the transcript is of this file"
            )
        return Alignment(
            [_interval(entry, word, seconds) for entry, word in zip(spoken, words, strict=True)],
            [
                _interval(phone, UNKNOWN if phone.name.startswith("+") else phone.name, seconds)
                for word in found
                for phone in word
                if phone.name not in _NO_SPEECH
            ],
        )

    def _named(self, phones: Sequence[str]) -> str:
        """Return the name of a word that is pronounced in this one way."""
        name = f"~{'.'.join(phones)}"
        if self._decoder.lookup_word(name) is None:
            self._decoder.add_word(name, " ".join(phones), True)
        return name

    def _two_passes(self, sound: bytes, words: Sequence[str]) -> "Words | None":
        """Return the model's words with their phones; None if the first pass finds no way through the sound."""
        # The noise estimate of the recording before would change this one's result.
        self._decoder.reinit_feat()
        self._decoder.set_align_text(" ".join(words))
        self._listen(sound)
        if self._decoder.hyp() is None:
            return None
        self._decoder.set_alignment()
        self._listen(sound)
        return self._decoder.get_alignment()

    def _listen(self, sound: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(sound, full_utt=True)
        self._decoder.end_utt()

    def _load(self) -> "Decoder":
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise AccentError(
                "the aligner PocketSphinx is not installed; pip install 'accent-embeddings[align]', then run again"
            ) from error
        # Its search for the best path in the lattice gives words durations that are too short for their phones.
        decoder = Decoder(lm=None, bestpath=False, loglevel="FATAL")
        for word, phones in self._own:
            _add(decoder, word, phones)
        return decoder


def _add(decoder: "Decoder", word: str, phones: str) -> None:
    """Add a pronunciation under the word's name, or under the next name `word(2)`, `word(3)` that is free."""
    name, number = word, 1
    while (there := decoder.lookup_word(name)) is not None:
        if there == phones:
            return
        number += 1
        name = f"{word}({number})"
    decoder.add_word(name, phones, True)


def _as_16_bits(samples_N: np.ndarray) -> bytes:
    scaled_N = samples_N * (PEAK * _FULL_SCALE / np.abs(samples_N).max())
    return np.round(scaled_N).astype("<i2").tobytes()


def _interval(entry: "AlignmentEntry", label: str, seconds: float) -> Interval:
    end = (entry.start + entry.duration) / FRAMES_PER_SECOND
    return entry.start / FRAMES_PER_SECOND, min(end, seconds), label
