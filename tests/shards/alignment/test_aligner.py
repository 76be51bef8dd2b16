"""The aligner against a synthesiser that knows when each word began, and what must not change a result."""

import difflib

import numpy as np
import pytest
import soxr

from accent.errors import AccentError
from accent.features.phones import CONSONANTS, VOWELS
from accent.grid import SAMPLE_RATE
from shards.alignment.aligner import Aligner
from shards.alignment.transcript import find_words
from shards.corpora.synthetic.demo import VOICES
from shards.corpora.synthetic.espeak import Synthesiser
from shards.corpora.synthetic.textgrid import word_intervals

pytest.importorskip("pocketsphinx")

SENTENCES = (
    "Please call Stella and ask her to bring these things with her from the store.",
    "Six spoons of fresh snow peas, five thick slabs of blue cheese, and maybe a snack for her brother Bob.",
    "We also need a small plastic snake and a big toy frog for the kids.",
)


@pytest.fixture(scope="module")
def spoken():
    """Each sentence with its sound at 16 kHz and the words' times, from the synthesiser's own events."""
    synthesiser = Synthesiser()
    said = [(text, synthesiser.say(text, "en-us", VOICES["F1"])) for text in SENTENCES]
    return [
        (text, soxr.resample(one.samples_N / 32_768, one.rate, SAMPLE_RATE), word_intervals(one, text))
        for text, one in said
    ]


@pytest.fixture(scope="module")
def aligner():
    return Aligner()


def words_of(text, aligner):
    words, unknown = find_words(text, aligner.knows)
    assert not unknown
    return words


def test_words_begin_when_the_synthesiser_began_them(spoken, aligner):
    errors = []
    for text, samples_N, true in spoken:
        words = words_of(text, aligner)
        found = aligner.align(samples_N, words).words
        # The synthesiser tells nothing of some unstressed words.
        named = ["".join(sign for sign in label if sign.isalpha()) for _, _, label in true]
        blocks = difflib.SequenceMatcher(None, words, named, autojunk=False).get_matching_blocks()
        errors += [found[i + k][0] - true[j + k][0] for i, j, count in blocks for k in range(count)]
    assert len(errors) > 35
    assert np.mean(np.abs(errors) <= 0.03) > 0.75
    assert np.mean(np.abs(errors) <= 0.1) > 0.95
    assert abs(np.median(errors)) <= 0.01


def test_phones_lie_within_their_words_and_spell_a_pronunciation(spoken, aligner):
    text, samples_N, _ = spoken[0]
    found = aligner.align(samples_N, words_of(text, aligner))
    assert [label for _, _, label in found.words] == words_of(text, aligner)
    assert {label for _, _, label in found.phones} <= {*VOWELS, *CONSONANTS}
    stella = next(one for one in found.words if one[2] == "stella")
    inside = [one for one in found.phones if stella[0] <= one[0] < stella[1]]
    assert [label for _, _, label in inside] == ["S", "T", "EH", "L", "AH"]
    assert (inside[0][0], inside[-1][1]) == (stella[0], stella[1])
    for intervals in (found.words, found.phones):
        edges = [edge for start, end, _ in intervals for edge in (start, end)]
        assert edges == sorted(edges)
        assert edges[-1] <= len(samples_N) / SAMPLE_RATE


def test_neither_order_nor_level_nor_an_earlier_failure_changes_a_result(spoken, aligner):
    tasks = [(samples_N, words_of(text, aligner)) for text, samples_N, _ in spoken]
    fresh = [Aligner().align(*task) for task in tasks]
    with pytest.raises(AccentError):
        aligner.align(tasks[0][0], ["elephants"] * 40)
    assert [aligner.align(*task) for task in reversed(tasks)][::-1] == fresh
    assert aligner.align(tasks[0][0] / 8, tasks[0][1]) == fresh[0]


def test_words_that_were_not_said_are_refused(spoken, aligner):
    with pytest.raises(AccentError, match=r"its 60 words are not found in its \d\.\d s of sound; see that"):
        aligner.align(spoken[0][1], ["giraffes", "eat", "leaves"] * 20)


def test_a_word_of_the_user_s_is_known_and_heard(spoken, tmp_path):
    dictionary = tmp_path / "words.dict"
    dictionary.write_text("stelluh  S T EH1 L AH0\nplease  P L IY1 Z\n")
    text, samples_N, _ = spoken[0]
    plain, extended = Aligner(), Aligner(dictionary)
    assert not plain.knows("stelluh")
    assert extended.knows("stelluh")
    words = words_of(text, plain)
    renamed = ["stelluh" if word == "stella" else word for word in words]
    assert extended.align(samples_N, renamed).phones == plain.align(samples_N, words).phones


@pytest.mark.parametrize("word", ["<sil>", "</s>", "[noise]", "zyzzyvax", ""])
def test_fillers_of_the_model_are_no_words(aligner, word):
    assert not aligner.knows(word)
