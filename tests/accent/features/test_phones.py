"""Phones: every spelling of a label, every format of a TextGrid, and the frame's centre that decides."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from praatio import textgrid

from accent.errors import AccentError
from accent.features.phones import (
    CONSONANTS,
    OUTSIDE,
    PHONES,
    VOWELS,
    _read_plainly,
    _read_with_praatio,
    normalise_label,
    phone_ids_on_grid,
)
from accent.features.phones import read_phone_intervals as read

ENTRIES = [
    (0.0, 0.1, ""),
    (0.1, 0.25, "HH"),
    (0.25, 0.4, "AH0"),
    (0.4, 0.55, "L"),
    (0.55, 0.8, "OW1"),
    (0.8, 1.0, "sp"),
]
LABELS = ["sil", "HH", "AH", "L", "OW", "sil"]


def write(
    path: Path, entries: list[tuple[float, float, str]] = ENTRIES, tier: str = "phones", style: str = "long_textgrid"
) -> Path:
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("words", [(0.1, 0.8, "hello")], 0.0, 1.0))
    grid.addTier(textgrid.IntervalTier(tier, entries, 0.0, 1.0))
    grid.save(str(path), format=style, includeBlankSpaces=True)
    return path


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
        *((label, "spn") for label in ("spn", "SPN", "noise", "AH3", "ʃ", "ER)")),
        ("ah0", "AH"),
        ("Z,S,s", "Z"),
        ("AH0, AX, s", "AH"),
        ("T,sil,d", "T"),
        ("sil,T,a", "sil"),
    ],
)
def test_every_spelling_of_a_label_names_its_phone(label: str, phone: str) -> None:
    assert normalise_label(label) == phone


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


def outcome(path: Path, praatio_only: bool) -> list[tuple[float, float, str]] | str:
    try:
        if praatio_only:
            return [(start, end, normalise_label(label)) for start, end, label in _read_with_praatio(path)]
        return read(path)
    except AccentError as error:
        return str(error)


@pytest.mark.parametrize("style", ["long_textgrid", "short_textgrid"])
def test_real_alignments_are_read_plainly_and_as_praatio_reads_them(saa: Path, tmp_path: Path, style: str) -> None:
    for path in sorted(saa.glob("*/textgrid/*.TextGrid"))[::4]:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
        grid.save(str(tmp_path / "a.TextGrid"), format=style, includeBlankSpaces=True)
        for each in (path, tmp_path / "a.TextGrid"):
            assert _read_plainly(each) is not None
            assert outcome(each, praatio_only=False) == outcome(each, praatio_only=True)


@pytest.mark.parametrize("style", ["long_textgrid", "short_textgrid"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_the_damage_praatio_would_say_the_same(tmp_path: Path, style: str, damage: str) -> None:
    path, generator = write(tmp_path / "a.TextGrid", style=style), np.random.default_rng(0)
    content, outcomes = path.read_bytes(), []
    for _ in range(60):
        path.write_bytes(damaged(content, damage, generator))
        outcomes.append(outcome(path, praatio_only=False))
        assert outcomes[-1] == outcome(path, praatio_only=True)
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
