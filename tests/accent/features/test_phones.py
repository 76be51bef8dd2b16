"""Phones: every spelling of a label, and the frame's centre that decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accent.features.phones import (
    CONSONANTS,
    OUTSIDE,
    PHONES,
    VOWELS,
    known_phone,
    normalise_label,
    phone_ids_on_grid,
)

ENTRIES = [
    (0.0, 0.1, ""),
    (0.1, 0.25, "HH"),
    (0.25, 0.4, "AH0"),
    (0.4, 0.55, "L"),
    (0.55, 0.8, "OW1"),
    (0.8, 1.0, "sp"),
]


def test_the_inventory_is_arpabet_between_silence_and_unknown() -> None:
    assert PHONES[0] == "sil" and PHONES[-1] == "spn"
    assert len(VOWELS) == 15 and len(CONSONANTS) == 24
    assert len(set(PHONES)) == len(PHONES) == 41


@pytest.mark.parametrize(
    ("label", "phone"),
    [
        *((phone, phone) for phone in (*VOWELS, *CONSONANTS)),
        *((f"{vowel}{stress}", vowel) for vowel in VOWELS for stress in "012"),
        *((label, "sil") for label in ("", "sil", "SIL", "sp", "SP", " ", "pau", "<eps>")),
        *((label, "spn") for label in ("spn", "SPN", "noise", "AH3", "ʔ", "ER)")),
        ("ah0", "AH"),
        ("Z,S,s", "Z"),
        ("AH0, AX, s", "AH"),
        ("T,sil,d", "T"),
        ("sil,T,a", "sil"),
    ],
)
def test_every_spelling_of_a_label_names_its_phone(label: str, phone: str) -> None:
    assert normalise_label(label) == phone


def test_the_centre_of_the_frame_decides() -> None:
    phones = phone_ids_on_grid([(0.0, 0.025, "sil"), (0.025, 0.03, "AA"), (0.03, 0.045, "T")], 0, 5)
    assert [PHONES[phone] for phone in phones] == ["sil", "sil", "sil", "T", "T"]
    assert phones.dtype == np.int16


@given(boundary=st.integers(1, 6000))
def test_a_boundary_on_a_frame_belongs_to_the_later_phone(boundary: int) -> None:
    seconds = float(f"{boundary / 100:.2f}")
    phones = phone_ids_on_grid([(0.0, seconds, "AA"), (seconds, 100.0, "T")], boundary - 1, 2)
    assert [PHONES[phone] for phone in phones] == ["AA", "T"]


def test_frames_outside_the_alignment_have_no_phone() -> None:
    phones = phone_ids_on_grid([(0.1, 0.2, "AA")], 0, 40)
    assert (phones[10:21] == PHONES.index("AA")).all()
    assert (phones[:10] == OUTSIDE).all() and (phones[21:] == OUTSIDE).all()
    assert (phone_ids_on_grid([], 0, 3) == OUTSIDE).all()


@given(first=st.integers(0, 90), count=st.integers(1, 50))
def test_a_kept_region_has_the_phones_of_the_whole(first: int, count: int) -> None:
    intervals = [(start, end, label or "sil") for start, end, label in ENTRIES]
    whole = phone_ids_on_grid(intervals, 0, 200)
    np.testing.assert_array_equal(phone_ids_on_grid(intervals, first, count), whole[first : first + count])


# Every phone of MFA's english_mfa model (3.0), as its chart lists them.
ENGLISH_MFA = """
a aj aw aː b bʲ c cʰ cʷ d dʒ dʲ d̪ e ej eː f fʲ fʷ h i iː j k kʰ kʷ l m mʲ m̩ n n̩ o ow oː p pʰ pʲ pʷ s t tʃ tʰ tʲ tʷ t̪
u uː v vʲ vʷ w z æ ç ð ŋ ɐ ɑ ɑː ɒ ɒː ɔ ɔj ɔː ə əw ɚ ɛ ɛː ɜ ɜː ɝ ɟ ɟʷ ɡ ɡʷ ɪ ɫ ɫ̩ ɱ ɲ ɹ ɾ ɾʲ ɾ̃ ʃ ʉ ʉː ʊ ʎ ʒ θ
"""


@pytest.mark.parametrize("label", ENGLISH_MFA.split())
def test_every_label_of_mfas_english_is_a_phone(label: str) -> None:
    assert known_phone(label) in PHONES[1:-1]


@pytest.mark.parametrize(
    ("label", "phone"),
    [
        ("ə", "AH"),
        ("tʰ", "T"),
        ("dʒ", "JH"),
        ("d͡ʒ", "JH"),
        ("ɫ̩", "L"),
        ("ʃ", "SH"),
        ("ˈaɪ", "AY"),
        ("ɡʷ", "G"),
        ("θ", "TH"),
    ],
)
def test_ipa_names_the_phoneme(label: str, phone: str) -> None:
    assert known_phone(label) == phone


@pytest.mark.parametrize(
    ("label", "phone"), [("S", "SH"), ("T", "TH"), ("D", "DH"), ("N", "NG"), ("@", "AH"), ("aI", "AY")]
)
def test_sampa_is_read_as_sampa_where_it_is_told(label: str, phone: str) -> None:
    assert known_phone(label, sampa=True) == phone


def test_a_label_that_nobody_knows_is_none() -> None:
    assert known_phone("ʔ") is known_phone("xyz") is known_phone("AH3") is None
