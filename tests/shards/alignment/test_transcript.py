"""Words as the dictionary writes them, and dictionaries of the user's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accent.errors import AccentError
from shards.alignment.dictionary import read_dictionary
from shards.alignment.transcript import find_words

KNOWN = {"it's", "o'clock", "mr.", "u.s.", "cafe", "well-being", "well", "known", "'cause", "the", "and", "or"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It’s O'Clock!", ["it's", "o'clock"]),
        ("“The café,” (Mr.) — the u.s.", ["the", "cafe", "mr.", "the", "u.s."]),
        ("well-being, well-known", ["well-being", "well", "known"]),
        ("'Cause 'the well'", ["'cause", "the", "well"]),
        ("and/or... -- the", ["and", "or", "the"]),
    ],
)
def test_spelling_is_brought_to_the_dictionary_s(text, words):
    assert find_words(text, KNOWN.__contains__) == (words, [])


@pytest.mark.parametrize("spoken", ["42", "&", "50%", "zyzzyva", "well-zyzzyva", "<unk>", "the2", "naïf"])
def test_what_the_dictionary_lacks_is_named_and_never_left_out(spoken):
    words, unknown = find_words(f"the {spoken}, well", KNOWN.__contains__)
    assert unknown == [spoken]
    assert words == ["the", spoken, "well"]


@given(
    st.lists(st.sampled_from(sorted(KNOWN - {"mr.", "'cause", "u.s."})), min_size=1),
    st.sampled_from([", ", " — ", "\n", "! ", '" "']),
)
def test_known_words_come_back_whatever_stands_between_them(words, between):
    assert find_words(between.join(words).upper(), KNOWN.__contains__) == (words, [])


def test_a_dictionary_in_the_cmu_format(tmp_path):
    path = tmp_path / "words.dict"
    path.write_text(";;; comment\nStella  S T EH1 L AH0\nSTELLA(2)  S T EH L ER\n\n# another\nghoti F IH0 SH\n")
    assert read_dictionary(path) == [("stella", "S T EH L AH"), ("stella", "S T EH L ER"), ("ghoti", "F IH SH")]


@pytest.mark.parametrize("line", ["ghoti", "ghoti F IX SH", "ghoti F IH3 SH"])
def test_a_line_that_is_no_pronunciation_is_refused_by_its_number(tmp_path, line):
    path = tmp_path / "words.dict"
    path.write_text(f"fish F IH SH\n{line}\n")
    with pytest.raises(AccentError, match=r"words\.dict: line 2: .*WORD PH O N E S"):
        read_dictionary(path)


def test_a_missing_dictionary_is_one_line(tmp_path):
    with pytest.raises(AccentError, match=r"none\.dict: this dictionary cannot be read"):
        read_dictionary(tmp_path / "none.dict")
