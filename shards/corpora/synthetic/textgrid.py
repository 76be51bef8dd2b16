"""Words and phones of synthesised speech: espeak-ng's events turned into ARPAbet intervals.

The phones are those the synthesiser spoke, in the nearest ARPAbet symbol: an aligner of real speech writes instead the
phones that the dictionary expects, so these labels know the accent and those do not.
Cost: about 2 ms an utterance.
"""

import unicodedata
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accent.features.phones import UNKNOWN, VOWELS
from shards.corpora.synthetic.espeak import Spoken
from shards.corpora.textgrid import Interval

_SILENCE = 0.05
"""Below this share of the utterance's peak there is no speech; f4 has an echo of up to that much in the closures."""

_STOPS = frozenset(["p", "b", "t", "d", "k", "ɡ", "ʔ", "ts", "tʃ", "dʒ", "tɕ", "dʑ"])

_ARPABET = {
    # consonants
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "ʔ": "T", "ɾ": "R", "f": "F", "v": "V", "θ": "TH",
    "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "ɕ": "SH", "ʑ": "ZH", "ʂ": "SH", "ʐ": "ZH", "x": "HH",
    "ç": "HH", "h": "HH", "tʃ": "CH", "dʒ": "JH", "tɕ": "CH", "dʑ": "JH", "ts": "T S", "dz": "D Z", "m": "M",
    "n": "N", "ɲ": "N Y", "ŋ": "NG", "l": "L", "ɫ": "L", "ʎ": "L Y", "ɹ": "R", "r": "R", "j": "Y", "ʝ": "Y",
    "w": "W", "ʍ": "W", "ʋ": "V", "β": "V", "ɣ": "G",
    # vowels
    "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "e": "EY", "ɛ": "EH", "æ": "AE", "a": "AA", "ɑ": "AA", "ɒ": "AA",
    "ɔ": "AO", "o": "OW", "ʊ": "UH", "u": "UW", "ʉ": "UW", "y": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɵ": "AH",
    "ɜ": "ER", "ɚ": "ER", "ɝ": "ER",
    # diphthongs, and vowels with what follows them
    "aɪ": "AY", "ai": "AY", "aʊ": "AW", "au": "AW", "ʌʉ": "AW", "ʌʊ": "AW", "eɪ": "EY", "ei": "EY", "ɛɪ": "EY",
    "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY", "oɪ": "OY", "oi": "OY", "ɔə": "AO", "oə": "AO", "ɪə": "IH AH", "iə": "IY AH",
    "eə": "EH AH", "ʊə": "UH AH", "aɪə": "AY AH", "aɪɚ": "AY ER", "aʊɚ": "AW ER", "ɑɹ": "AA R", "ɔɹ": "AO R",
    "oɹ": "AO R", "ɪɹ": "IH R", "ɛɹ": "EH R", "ʊɹ": "UH R", "yʊ": "UW", "aa": "AA", "ɑə": "AA", "ʌɹ": "AH R",
    "ʊɐ": "UH AH", "eʊ": "EH UH", "əl": "AH L", "ən": "AH N",
}  # fmt: skip
"""IPA without stress, length and diacritics -> ARPAbet; two symbols share the time in halves."""

_ENGLISH = {"ɾ": "T", "a": "AE"}
"""Where an accent of English uses a sign for another sound than the other languages do."""


def arpabet(ipa: str, language: str) -> list[str]:
    """Return the ARPAbet symbols of one IPA phone, vowels with their stress digit.

    Args:
        ipa: a phone with its marks of stress and length, as espeak-ng writes it.
        language: espeak-ng's voice.

    Returns:
        One or two symbols, `spn` for a phone that ARPAbet has nothing near to, nothing for a pause or a mark such as
        `(en)` by which espeak-ng says that it changes the language.

    >>> arpabet("ˈɔːɹ", "en-us"), arpabet("ɾ", "es"), arpabet("", "es")
    (['AO1', 'R'], ['R'], [])
    """
    letters = _letters(ipa)
    if not letters:
        return []
    english = _ENGLISH if language.startswith("en") else {}
    symbols = english.get(letters, _ARPABET.get(letters, UNKNOWN)).split()
    stress = "1" if "ˈ" in ipa else "2" if "ˌ" in ipa else "0"
    return [symbol + stress if symbol in VOWELS else symbol for symbol in symbols]


def _letters(ipa: str) -> str:
    """Return a phone without its marks; nothing for a pause or a mark of changed language."""
    if ipa.startswith("("):
        return ""
    # Polish palatalisation standing alone is a glide of its own.
    return "".join(sign for sign in ipa if unicodedata.category(sign) in ("Ll", "Lo")) or ("j" if ipa == "ʲ" else "")


def word_intervals(spoken: Spoken, text: str) -> list[Interval]:
    """Return the words in the transcript's spelling; a word lasts until the next one or the pause at the end."""
    starts = [sample for sample, _, _ in spoken.words]
    end = next((first for first, ipa in reversed(spoken.phones) if ipa), 0)
    last = next((first for first, ipa in spoken.phones if first > end), len(spoken.samples_N))
    return [
        (start / spoken.rate, stop / spoken.rate, text[position : position + length].lower())
        for start, stop, (_, position, length) in zip(starts, [*starts[1:], last], spoken.words, strict=True)
    ]


def phone_intervals(spoken: Spoken, language: str) -> list[Interval]:
    """Return the phones in ARPAbet.

    espeak-ng tells when a stop is released.  Its closure, silence in synthetic speech, belongs to the stop, as
    aligners of real speech have it; the first phone of a word begins with the word.

    Args:
        spoken: the utterance.
        language: espeak-ng's voice.

    Returns:
        Intervals without gaps from the first phone on; pauses have an empty label.
    """
    phones = _named_phones(spoken)
    word_starts = [sample for sample, _, _ in spoken.words]
    starts: list[int] = []
    before = -1
    for start, event, ipa in phones:
        opening = [word for word in word_starts if before < word <= event]
        if opening:
            start = opening[0]
        elif _letters(ipa) in _STOPS and starts:
            start = _closure(spoken, starts[-1], start)
        starts.append(start)
        before = event
    intervals: list[Interval] = []
    for (start, stop), (_, _, ipa) in zip(pairwise([*starts, len(spoken.samples_N)]), phones, strict=True):
        symbols = arpabet(ipa, language) or [""]
        edges = np.linspace(start, stop, len(symbols) + 1) / spoken.rate
        intervals += [
            (float(left), float(right), symbol) for (left, right), symbol in zip(pairwise(edges), symbols, strict=True)
        ]
    return [(start, stop, symbol) for start, stop, symbol in intervals if stop > start]


def _named_phones(spoken: Spoken) -> list[tuple[int, int, str]]:
    """Return (start, event, IPA) of phones and pauses; a phone starts with the nameless glide that leads to it."""
    events = [(first, ipa) for first, ipa in spoken.phones if not ipa.startswith("(")]
    phones: list[tuple[int, int, str]] = []
    glide: int | None = None
    for position, (first, ipa) in enumerate(events):
        following = events[position + 1][0] if position + 1 < len(events) else None
        if not ipa and following is not None and (glide is not None or len(_sounding(spoken, first, following))):
            glide = first if glide is None else glide
            continue
        # Before the pause at the end it is the rest of the last phone.
        phones.append((first if glide is None or not ipa else glide, first, ipa))
        glide = None
    return phones


def _closure(spoken: Spoken, earliest: int, release: int) -> int:
    """Return the first sample of the unbroken silence that ends at `release`."""
    sounding = _sounding(spoken, earliest, release)
    return earliest + int(sounding[-1]) + 1 if len(sounding) else release


def _sounding(spoken: Spoken, start: int, stop: int) -> NDArray[np.intp]:
    """Return the positions after `start` of the samples that are not silence."""
    peak = int(np.abs(spoken.samples_N.astype(np.int32)).max())
    return np.flatnonzero(np.abs(spoken.samples_N[start:stop].astype(np.int32)) > _SILENCE * peak)
