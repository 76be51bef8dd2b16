"""The synthesised corpus: whole, repeatable, and honest about time."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import parselmouth
import pytest
import soundfile
from praatio import textgrid

from accent.errors import AccentError
from accent.features.phones import PHONES
from accent.features.textgrid import read_alignment
from shards.corpora import Corpus, open_corpus
from shards.corpora.synthetic import demo
from shards.corpora.synthetic.demo import ACCENTS, LANGUAGES, PROMPTS, VOICES, make_demo_corpus
from shards.corpora.synthetic.textgrid import arpabet
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_corpus(tmp_path_factory.mktemp("demo") / "corpus")


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return open_corpus(folder)


def digest(folder: Path) -> str:
    """Return one sha256 over the names and bytes of all files."""
    tree = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        tree.update(str(path.relative_to(folder)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return tree.hexdigest()


def make_in_another_process(folder: Path, before: str = "") -> None:
    script = f"""
from pathlib import Path
from shards.corpora.synthetic.demo import make_demo_corpus
if __name__ == "__main__":
    {before or "pass"}
    make_demo_corpus(Path({str(folder)!r}))
"""
    program = folder.parent / f"make_{folder.name}.py"
    program.write_text(script)
    # A changed hash seed and working folder would show in anything that depends on them.
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": str(len(folder.name))}
    subprocess.run([sys.executable, str(program)], check=True, env=environment, cwd=folder.parent, timeout=120)


def test_processes_make_the_same_bytes_whatever_they_synthesised_before(folder: Path, tmp_path: Path) -> None:
    make_in_another_process(tmp_path / "first")
    make_in_another_process(tmp_path / "other_one", f"make_demo_corpus(Path({str(tmp_path / 'x')!r}), ['Dutch'], 1, 2)")
    assert digest(tmp_path / "first") == digest(tmp_path / "other_one") == digest(folder)


def test_the_corpus_is_balanced_over_accents_speakers_sexes_and_prompts(corpus: Corpus) -> None:
    assert corpus.refused == ()
    assert Counter(one.accent for one in corpus.utterances) == dict.fromkeys(ACCENTS, 6 * 8)
    assert set(Counter(one.speaker for one in corpus.utterances).values()) == {8}
    assert Counter((one.accent, one.sex) for one in corpus.utterances) == {
        (accent, sex): 3 * 8 for accent in ACCENTS for sex in ("female", "male")
    }
    assert Counter(one.prompt for one in corpus.utterances) == {f"arctic_a000{n}": 24 for n in range(1, 9)}


def test_every_accent_has_the_same_voices(corpus: Corpus) -> None:
    voices = {accent: set() for accent in ACCENTS}  # type: dict[str, set[str]]
    for one in corpus.utterances:
        voices[one.accent].add(one.extra["voice"])
    assert set(map(frozenset, voices.values())) == {frozenset(list(VOICES)[:6])}


def test_the_sound_is_mono_16_bit_unclipped_and_fits_the_time_of_a_demo(corpus: Corpus) -> None:
    seconds = 0.0
    for one in corpus.utterances:
        information = soundfile.info(one.path)
        assert (information.samplerate, information.channels, information.subtype) == (22_050, 1, "PCM_16")
        samples_N, _ = soundfile.read(one.path, dtype="int16")
        assert 3_000 < np.abs(samples_N.astype(int)).max() < 32_000
        assert 1.5 < information.duration < 4.5
        seconds += information.duration
    assert 400 < seconds < 500


def test_women_and_men_have_voices_of_their_own(corpus: Corpus) -> None:
    median = {
        one.extra["voice"]: voiced_median(one.path)
        for one in corpus.utterances
        if one.accent == "American" and one.prompt == "arctic_a0001"
    }
    assert all((hertz > 140) == voice.startswith("F") for voice, hertz in median.items())
    assert len({round(hertz) for hertz in median.values()}) == len(median)


def voiced_median(path: Path) -> float:
    hertz_T = parselmouth.Sound(str(path)).to_pitch_ac(pitch_floor=60, pitch_ceiling=500).selected_array["frequency"]
    return float(np.median(hertz_T[hertz_T > 0]))


def test_the_textgrids_hold_the_words_of_the_transcript_and_phones_that_start_with_them(corpus: Corpus) -> None:
    for one in corpus.utterances:
        assert one.textgrid is not None
        grid = textgrid.openTextgrid(str(one.textgrid), includeEmptyIntervals=False)
        words, phones = (grid.getTier(name).entries for name in ("words", "phones"))
        assert [word.label for word in words] == re.findall(r"[a-z]+", (one.text or "").lower())
        starts = np.array([phone.start for phone in phones])
        assert all(np.abs(starts - word.start).min() < 1e-6 for word in words), one.key
        assert grid.maxTimestamp == pytest.approx(soundfile.info(one.path).duration)


def test_frame_phones_are_read_without_an_unknown_one(corpus: Corpus) -> None:
    labels = Counter(
        label for one in corpus.utterances for _, _, label in read_alignment(one.textgrid or Path()).intervals
    )
    assert "spn" not in labels
    assert len(labels) > 30
    assert set(labels) <= set(PHONES)


def levels_by_kind(corpus: Corpus, shift_seconds: float) -> dict[str, list[float]]:
    """Return the loudness of vowels, voiceless consonants and pauses, read from the samples where the labels lie.

    T is left out: it may be a voiced flap.
    """
    levels: dict[str, list[float]] = {"vowel": [], "voiceless": [], "pause": []}
    for one in corpus.utterances[::3]:
        samples_N, rate = soundfile.read(one.path)
        for start, end, label in read_alignment(one.textgrid or Path()).intervals:
            kind = "vowel" if label[0] in "AEIOU" else {"sil": "pause"}.get(label, "voiceless")
            piece_N = samples_N[max(round((start + shift_seconds) * rate), 0) : round((end + shift_seconds) * rate)]
            if len(piece_N) and (kind != "voiceless" or label in ("P", "K", "S", "SH", "F", "TH")):
                levels[kind].append(float(np.sqrt(np.mean(piece_N**2))))
    return levels


def share_told_apart(levels: dict[str, list[float]]) -> float:
    """Return how many vowels lie above, and voiceless consonants below, the level that parts them best."""
    vowels, voiceless = np.array(levels["vowel"]), np.array(levels["voiceless"])
    return max(float((np.mean(vowels > level) + np.mean(voiceless < level)) / 2) for level in np.sort(voiceless))


def test_the_labels_lie_on_the_sound(corpus: Corpus) -> None:
    levels = levels_by_kind(corpus, 0.0)
    assert min(len(values) for values in levels.values()) > 60
    # One voice has an echo, so its pauses are not empty.
    assert max(levels["pause"]) < np.median(levels["vowel"]) / 5
    apart = {shift: share_told_apart(levels_by_kind(corpus, shift)) for shift in (-0.03, 0.0, 0.03)}
    assert apart[0.0] > 0.98, apart
    assert max(apart[-0.03], apart[0.03]) < 0.9, apart


def test_all_accents_and_voices_speak_without_an_unknown_phone(tmp_path: Path) -> None:
    folder = make_demo_corpus(tmp_path / "all", tuple(LANGUAGES), len(VOICES), len(PROMPTS))
    corpus = open_corpus(folder)
    assert len(corpus.utterances) == len(LANGUAGES) * len(VOICES) * len(PROMPTS)
    grids = {one.textgrid for one in corpus.utterances if one.textgrid}
    assert not [grid for grid in grids if "spn" in grid.read_text(encoding="utf-8")]


def test_no_two_recordings_are_the_same(corpus: Corpus) -> None:
    assert len({hashlib.sha256(one.path.read_bytes()).digest() for one in corpus.utterances}) == len(corpus.utterances)


def test_a_whole_corpus_is_used_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_in_fresh_process", lambda *_: pytest.fail("synthesised again"))
    assert make_demo_corpus(folder) == folder


def test_an_interrupt_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(unfinished: Path, recipe: object) -> None:
        (unfinished / "AME_F1" / "wav").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_in_fresh_process", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_demo_corpus(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_another_folder_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(AccentError, match="something else is here already"):
        make_demo_corpus(tmp_path)
    with pytest.raises(AccentError, match="made with other arguments is here already"):
        make_demo_corpus(folder, prompts=2)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"accents": ["Klingon"]}, "no accent 'Klingon'; choose among American"),
        ({"accents": []}, "no accent named"),
        ({"accents": ["Dutch", "Dutch"]}, "an accent named twice"),
        ({"speakers_per_accent": 9}, "speakers_per_accent=9 is not between 1 and 8"),
        ({"prompts": 0}, "prompts=0 is not between 1 and 12"),
    ],
)
def test_an_impossible_demo_corpus_is_one_line(tmp_path: Path, arguments: dict[str, object], line: str) -> None:
    with pytest.raises(AccentError, match=line):
        make_demo_corpus(tmp_path / "corpus", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ipa", "language", "symbols"),
    [
        ("ˈeɪ", "en-us", ["EY1"]), ("ɾ", "en-us", ["T"]), ("ɾ", "es", ["R"]), ("ˌɔːɹ", "en-us", ["AO2", "R"]),
        ("tʃ", "pl", ["CH"]), ("", "es", []), ("(en)", "de", []), ("ǃ", "pl", ["spn"]),
    ],
)  # fmt: skip
def test_ipa_becomes_the_nearest_arpabet(ipa: str, language: str, symbols: list[str]) -> None:
    assert arpabet(ipa, language) == symbols
