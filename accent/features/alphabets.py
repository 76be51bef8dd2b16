"""From the phone alphabets of aligners to ARPAbet: IPA as the Montreal Forced Aligner writes it, and SAMPA.

An allophone counts as its phoneme: an aspirated, palatalised or dental consonant as the plain one, a flap as T, a
syllabic consonant as the consonant.  A label that is in no table stays unknown.

Source: phone charts of the MFA's English models; SAMPA for English (Wells 1997), as WebMAUS writes it.
Cost: a microsecond a label, and labels repeat.
"""

import re
from collections.abc import Iterable

# fmt: off
_IPA_VOWELS = {
    "AA": "ɑ ɒ aː", "AE": "æ a", "AH": "ʌ ɐ ə", "AO": "ɔ", "AW": "aw aʊ æw", "AY": "aj aɪ ɑj ɑɪ", "EH": "ɛ eə ɛə",
    "ER": "ɚ ɝ ɜ ɜɹ əɹ", "EY": "e ej eɪ", "IH": "ɪ ɨ ᵻ ɪə", "IY": "i", "OW": "o ow oʊ əw əʊ", "OY": "ɔj ɔɪ",
    "UH": "ʊ ʊə ɵ", "UW": "u ʉ",
}
_IPA_CONSONANTS = {
    "B": "b", "CH": "tʃ ʧ", "D": "d ɖ", "DH": "ð", "F": "f", "G": "ɡ g ɟ", "HH": "h ɦ ç", "JH": "dʒ ʤ", "K": "k c",
    "L": "l ɫ ʎ", "M": "m ɱ", "N": "n ɲ ɳ", "NG": "ŋ", "P": "p", "R": "ɹ r ɻ ʀ ʁ", "S": "s", "SH": "ʃ", "T": "t ɾ ʈ",
    "TH": "θ", "V": "v ʋ", "W": "w ʍ", "Y": "j", "Z": "z", "ZH": "ʒ",
}
_SAMPA = {
    "AA": "A A: Q", "AE": "{", "AH": "V @ 6", "AO": "O: O", "AW": "aU", "AY": "aI", "EH": "e E e@", "ER": "3: 3 @r 3r",
    "EY": "eI", "IH": "I I@ 1", "IY": "i: i", "OW": "@U oU o", "OY": "OI", "UH": "U U@", "UW": "u: u",
    "B": "b", "CH": "tS", "D": "d", "DH": "D", "F": "f", "G": "g", "HH": "h", "JH": "dZ", "K": "k", "L": "l", "M": "m",
    "N": "n", "NG": "N", "P": "p", "R": "r", "S": "s", "SH": "S", "T": "t 4", "TH": "T", "V": "v", "W": "w", "Y": "j",
    "Z": "z", "ZH": "Z",
}
# fmt: on


def _by_label(table: dict[str, str]) -> dict[str, str]:
    return {label: phone for phone, labels in table.items() for label in labels.split()}


_FROM_IPA = _by_label(_IPA_VOWELS) | _by_label(_IPA_CONSONANTS)
_FROM_SAMPA = _by_label(_SAMPA)
_IPA_MARKS = re.compile(r"[ʰʲʷˠˤˀ̴̩̪̥̬̚ˑːˈˌ͡‿̯̹̜̟̠̞̝̘̙̰̤̺̻̃̆0-9]")
"""Length, stress, aspiration, secondary articulations, tie bars, digits: no phoneme by themselves."""


def from_ipa(label: str) -> str | None:
    """Return the ARPAbet phone of an IPA label, or None.

    >>> from_ipa("tʰ"), from_ipa("ow"), from_ipa("ɫ̩"), from_ipa("ɑː"), from_ipa("ʔ")
    ('T', 'OW', 'L', 'AA', None)
    """
    return _FROM_IPA.get(label) or _FROM_IPA.get(_IPA_MARKS.sub("", label))


def from_sampa(label: str) -> str | None:
    """Return the ARPAbet phone of a SAMPA label, or None.

    >>> from_sampa("S"), from_sampa("{"), from_sampa("n="), from_sampa("?")
    ('SH', 'AE', 'N', None)
    """
    return _FROM_SAMPA.get(label) or _FROM_SAMPA.get(label.strip('"%=').removesuffix("_h"))


def are_sampa(labels: Iterable[str]) -> bool:
    """Tell SAMPA from ARPAbet, which shares many of its letters: by a sign that ARPAbet never has."""
    return any(re.search(r"^[{@]|[a-zA-Z369@]:$|^[aeO]I$|^[a@o]U$|^(?:tS|dZ)$", label) is not None for label in labels)
