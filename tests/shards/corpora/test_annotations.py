"""Annotations in L2-ARCTIC's form: the labels that its documentation lists, and what is none of them."""

import pytest

from accent.errors import AccentError
from shards.corpora.annotations import AnnotatedPhone, read_annotation
from shards.corpora.textgrid import write_textgrid


def annotation(path, *labels):
    phones = [(0.1 * at, 0.1 * (at + 1), label) for at, label in enumerate(labels)]
    write_textgrid(path, 0.1 * len(labels), {"words": [], "phones": phones, "IPA": [], "comments": []})
    return path


def test_each_kind_of_label_is_read(tmp_path):
    path = annotation(tmp_path / "a.TextGrid", "sil", "DH,D,s", "AH0", "T, sil, d", "sil,IY,a", "R,R*,s", "V,err,S")
    found = [one[2:] for one in read_annotation(path)]
    assert found == [
        ("sil", "sil", None),
        ("DH", "D", "s"),
        ("AH", "AH0", None),
        ("T", "sil", "d"),
        ("sil", "IY", "a"),
        ("R", "R*", "s"),
        ("V", "err", "s"),
    ]
    assert read_annotation(path)[1] == AnnotatedPhone(pytest.approx(0.1), pytest.approx(0.2), "DH", "D", "s")


@pytest.mark.parametrize("label", ["DH,D", "DH,D,x", "DH,D,s,s", "DH,"])
def test_a_label_of_another_form_is_named(tmp_path, label):
    path = annotation(tmp_path / "a.TextGrid", "sil", label)
    with pytest.raises(AccentError, match=r"at 0\.10 s"):
        read_annotation(path)


def test_a_textgrid_without_phones_is_no_annotation(tmp_path):
    write_textgrid(tmp_path / "a.TextGrid", 1.0, {"words": [(0.0, 1.0, "the")]})
    with pytest.raises(AccentError, match="no tier of phones"):
        read_annotation(tmp_path / "a.TextGrid")
