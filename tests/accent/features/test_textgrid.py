"""TextGrids: every format that Praat opens is read, and as Praat reads it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from praatio import textgrid

from accent.errors import AccentError
from accent.features.phones import OUTSIDE, PHONES, normalise_label, phone_ids_on_grid
from accent.features.textgrid import (
    _phone_tier,
    _read_plainly,
    _read_with_praat,
    read_alignment,
    read_labels,
    read_words,
)

ENTRIES = [
    (0.0, 0.1, ""),
    (0.1, 0.25, "HH"),
    (0.25, 0.4, "AH0"),
    (0.4, 0.55, "L"),
    (0.55, 0.8, "OW1"),
    (0.8, 1.0, "sp"),
]
LABELS = ["sil", "HH", "AH", "L", "OW", "sil"]


def read(path: Path) -> list[tuple[float, float, str]]:
    return read_alignment(path).intervals


def write(
    path: Path, entries: list[tuple[float, float, str]] = ENTRIES, tier: str = "phones", style: str = "long_textgrid"
) -> Path:
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("words", [(0.1, 0.8, "hello")], 0.0, 1.0))
    grid.addTier(textgrid.IntervalTier(tier, entries, 0.0, 1.0))
    grid.save(str(path), format=style, includeBlankSpaces=True)
    return path


@pytest.mark.parametrize("style", ["long_textgrid", "short_textgrid"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_long_and_short_text_in_utf_8_and_utf_16_say_the_same(tmp_path: Path, style: str, encoding: str) -> None:
    path = write(tmp_path / "a.TextGrid", style=style)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    intervals = read(path)
    assert [label for _, _, label in intervals] == LABELS
    np.testing.assert_allclose([interval[:2] for interval in intervals], [entry[:2] for entry in ENTRIES])


def test_the_tier_is_found_by_name_in_any_case(tmp_path: Path) -> None:
    assert [label for _, _, label in read(write(tmp_path / "a.TextGrid", tier="Phones"))] == LABELS


def test_words_are_read_with_the_pauses_around_them_and_a_missing_tier_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.TextGrid")
    assert read_words(path) == [(0.0, 0.1, ""), (0.1, 0.8, "hello"), (0.8, 1.0, "")]
    path.write_text(path.read_text().replace('"words"', '"lexemes"'))
    with pytest.raises(AccentError, match=r"a\.TextGrid: no interval tier named 'words'; it has lexemes, phones"):
        read_words(path)


def test_gaps_between_intervals_are_silence(tmp_path: Path) -> None:
    intervals = read(write(tmp_path / "a.TextGrid", [(0.2, 0.4, "AA1"), (0.6, 0.8, "T")]))
    assert [label for _, _, label in intervals] == ["sil", "AA", "sil", "T", "sil"]
    assert intervals[0][0] == 0 and intervals[-1][1] == 1


def test_a_textgrid_without_phones_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.TextGrid", tier="segments")
    with pytest.raises(AccentError, match="no interval tier named 'phones'; it has words, segments") as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


def test_a_tier_of_points_named_phones_is_refused(tmp_path: Path) -> None:
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.PointTier("phones", [(0.5, "AA")], 0.0, 1.0))
    grid.save(str(tmp_path / "a.TextGrid"), format="long_textgrid", includeBlankSpaces=False)
    with pytest.raises(AccentError, match="no interval tier"):
        read(tmp_path / "a.TextGrid")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.75, 0.95])
def test_a_textgrid_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "a.TextGrid")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(AccentError, match=r"a\.TextGrid"):
        read(path)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.75, 0.85, 0.95])
def test_a_short_text_cut_short_is_refused_or_read_up_to_its_end(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "a.TextGrid", style="short_textgrid")
    whole, content = read(path), path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    try:
        rest = read(path)
    except AccentError:
        return
    assert share >= 0.75 and rest == whole[: len(rest)]
    missing = phone_ids_on_grid(rest, 0, 101)[int(rest[-1][1] * 100) + 2 :]
    assert len(missing) > 5 and (missing == OUTSIDE).all()


@pytest.mark.parametrize(
    "content", [b"hello\nworld\n" * 40, bytes(range(256)) * 8, "naïve\n".encode("latin-1") * 20, b"\xff\xfe"]
)
def test_a_file_that_is_no_textgrid_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(content)
    with pytest.raises(AccentError, match="not readable as a TextGrid"):
        read(path)


def test_a_missing_textgrid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AccentError, match="no such TextGrid"):
        read(tmp_path / "a.TextGrid")


DAMAGES = ["cut", "byte", "line lost", "lines swapped", "line added", "digit", "quote", "line ends"]


def damaged(content: bytes, damage: str, generator: np.random.Generator) -> bytes:
    lines, at = content.split(b"\n"), int(generator.integers(len(content)))
    first, second = generator.integers(len(lines), size=2)
    if damage == "cut":
        return content[:at]
    if damage == "byte":
        return content[:at] + bytes([generator.integers(256)]) + content[at + 1 :]
    if damage == "line lost":
        lines.pop(first)
    if damage == "lines swapped":
        lines[first], lines[second] = lines[second], lines[first]
    if damage == "line added":
        lines.insert(first, [b"", b"xmin = 3", b'"x"', b"1.5", b'"IntervalTier"', b'text = "a"'][second % 6])
    if damage == "digit":
        at = generator.choice([position for position, byte in enumerate(content) if chr(byte).isdigit()])
        return content[:at] + [b"9", b"0", b"-", b".", b"e"][first % 5] + content[at + 1 :]
    if damage == "quote":
        return content[:at] + [b'"', b"[", b"\n", b"]", b" "][first % 5] + content[at:]
    return [b"\r\n", b"\r", b"\n"][first % 3].join(lines)


def outcome(path: Path, praat_only: bool) -> list[tuple[float, float, str]] | str:
    try:
        if praat_only:
            labelled = _phone_tier(_read_with_praat(path), path)
            return [(start, end, normalise_label(label)) for start, end, label in labelled]
        return read(path)
    except AccentError as error:
        return str(error)


@pytest.mark.parametrize("style", ["long_textgrid", "short_textgrid"])
def test_real_alignments_are_read_plainly_and_as_praat_reads_them(saa: Path, tmp_path: Path, style: str) -> None:
    for path in sorted(saa.glob("*/textgrid/*.TextGrid"))[::4]:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
        grid.save(str(tmp_path / "a.TextGrid"), format=style, includeBlankSpaces=True)
        for each in (path, tmp_path / "a.TextGrid"):
            assert _read_plainly(each) is not None
            assert outcome(each, praat_only=False) == outcome(each, praat_only=True)


@pytest.mark.parametrize("style", ["long_textgrid", "short_textgrid"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_the_damage_praat_would_say_the_same(tmp_path: Path, style: str, damage: str) -> None:
    path, generator = write(tmp_path / "a.TextGrid", style=style), np.random.default_rng(0)
    content, outcomes = path.read_bytes(), []
    for _ in range(60):
        path.write_bytes(damaged(content, damage, generator))
        outcomes.append(outcome(path, praat_only=False))
        assert outcomes[-1] == outcome(path, praat_only=True)
    assert damage == "line ends" or any(isinstance(each, str) for each in outcomes)


def test_real_alignments_are_read_and_cover_their_recordings(saa: Path) -> None:
    paths = sorted(saa.glob("*/textgrid/*.TextGrid"))
    assert len(paths) == 120
    for path in paths:
        intervals = read(path)
        assert all(label in PHONES for _, _, label in intervals)
        assert all(end == pytest.approx(start) for (_, end, _), (start, _, _) in pairwise(intervals))
        frames = phone_ids_on_grid(intervals, 0, int(intervals[-1][1] * 100) + 1)
        assert (frames != OUTSIDE).all()
        assert (frames == 0).mean() < 0.6


def edited(path: Path, *changes: tuple[str, str], encoding: str = "utf-8") -> Path:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("tier", ["phone", "Phones", "MAU", "phonemes", "Ann - phones", "PHONE ", "ann/phones"])
def test_customary_names_of_the_tier_are_understood(tmp_path: Path, tier: str) -> None:
    assert [label for _, _, label in read(write(tmp_path / "a.TextGrid", tier=tier))] == LABELS


def test_two_tiers_of_phones_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    grid = textgrid.Textgrid()
    for name, entries in (("Ann - phones", ENTRIES), ("Bob - phones", ENTRIES[:3])):
        grid.addTier(textgrid.IntervalTier(name, entries, 0.0, 1.0))
    grid.save(str(tmp_path / "a.TextGrid"), format="long_textgrid", includeBlankSpaces=True)
    with pytest.raises(AccentError, match="2 tiers of phones among Ann - phones, Bob - phones; keep one"):
        read(tmp_path / "a.TextGrid")


@pytest.mark.parametrize("style", ["long_textgrid", "short_textgrid"])
def test_a_negative_time_stays_negative(tmp_path: Path, style: str) -> None:
    path = write(tmp_path / "a.TextGrid", style=style)
    lines = path.read_text().split("\n")
    at = next(number for number, line in enumerate(lines) if '"phones"' in line) + (4 if style[0] == "s" else 5)
    lines[at] = lines[at].replace("0", "-0.2", 1)
    path.write_text("\n".join(lines))
    assert read(path)[0] == (-0.2, 0.1, "sil")
    assert [label for _, _, label in read(path)] == LABELS


def test_an_interval_of_no_length_is_left_out_and_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "a.TextGrid")
    text = path.read_text()
    count = text.rindex("intervals: size = 6")
    text = text[:count] + text[count:].replace("size = 6", "size = 7", 1)
    at = text.rindex("        intervals [3]:")
    extra = '        intervals [3]:\n            xmin = 0.25 \n            xmax = 0.25 \n            text = "T" \n'
    path.write_text(text[:at] + extra + text[at:])
    assert read(path) == read(write(tmp_path / "b.TextGrid"))


def test_words_in_latin_1_change_no_phone(tmp_path: Path) -> None:
    path = edited(write(tmp_path / "a.TextGrid"), ("hello", "caf\u00e9"), encoding="latin-1")
    assert [label for _, _, label in read(path)] == LABELS


def test_a_binary_textgrid_is_read(tmp_path: Path) -> None:
    import parselmouth

    grid = parselmouth.read(str(write(tmp_path / "a.TextGrid")))
    parselmouth.praat.call(grid, "Save as binary file", str(tmp_path / "b.TextGrid"))
    assert [label for _, _, label in read(tmp_path / "b.TextGrid")] == LABELS


def test_intervals_that_overlap_are_refused(tmp_path: Path) -> None:
    path = edited(write(tmp_path / "a.TextGrid"), ("xmax = 0.55", "xmax = 0.7"))
    with pytest.raises(AccentError, match="its tier 'phones' overlap or run backwards"):
        read(path)


def test_labels_of_the_mfas_ipa_are_phones_and_unknown_ones_are_counted(tmp_path: Path) -> None:
    entries = [(0.0, 0.2, "ə"), (0.2, 0.4, "tʰ"), (0.4, 0.6, "ʔ"), (0.6, 0.8, "ʔ"), (0.8, 1.0, "spn")]
    found = read_alignment(write(tmp_path / "a.TextGrid", entries))
    assert [label for _, _, label in found.intervals] == ["AH", "T", "spn", "spn", "spn"]
    assert found.unknown == {"ʔ": 2}


def test_a_tier_of_webmaus_in_sampa_is_read_as_sampa(tmp_path: Path) -> None:
    entries = [(0.0, 0.2, "<p:>"), (0.2, 0.4, "S"), (0.4, 0.6, "i:"), (0.6, 0.8, "@"), (0.8, 1.0, "D")]
    found = read(write(tmp_path / "a.TextGrid", entries, tier="MAU"))
    assert [label for _, _, label in found] == ["sil", "SH", "IY", "AH", "DH"]


def test_labels_of_a_tier_are_read_as_they_are_written(tmp_path: Path) -> None:
    entries = [(0.0, 0.2, "sil"), (0.2, 0.4, "Z,S,s"), (0.4, 0.6, "D,sil,d"), (0.6, 1.0, "AH0")]
    path = write(tmp_path / "a.TextGrid", entries)
    assert read_labels(path, ("phones",)) == entries
    assert [label for _, _, label in read(path)] == ["sil", "Z", "D", "AH"]
    assert (0.1, 0.8, "hello") in read_labels(path, ("words",))
    assert read_labels(path, ("ipa",)) == []


def test_two_different_tiers_of_one_name_are_refused(tmp_path: Path) -> None:
    grid = textgrid.Textgrid()
    for name, label in (("Ann - words", "one"), ("Ben - words", "two")):
        grid.addTier(textgrid.IntervalTier(name, [(0.0, 1.0, label)], 0.0, 1.0))
    grid.save(str(tmp_path / "a.TextGrid"), format="long_textgrid", includeBlankSpaces=True)
    with pytest.raises(AccentError, match="2 tiers named words; keep one"):
        read_labels(tmp_path / "a.TextGrid", ("words",))
