"""`accent rescore`: real recordings through the command, files of every form, and what it refuses."""

import sys

import numpy as np
import pytest

from accent.errors import AccentError
from accent.metrics import equal_error_rate
from launch import cli
from launch.applications.speaker_embeddings import SpeakerEmbeddings, read_speaker_embeddings
from launch.applications.speaker_verification import Trials, figures, read_trials, score_trials
from tests.support.sound.simple_speakers import divide, simple_embeddings


@pytest.fixture(scope="module")
def files(saa_shards, tmp_path_factory):
    return divide(simple_embeddings(saa_shards), tmp_path_factory.mktemp("speakers"))


def test_real_recordings_are_scored_and_written(files, tmp_path, monkeypatch, capsys):
    words = ["accent", "rescore", *map(str, files), "-o", str(tmp_path / "scores.npz")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert not leaving.value.code
    printed = capsys.readouterr().out
    assert "Arabic - Arabic" in printed and "within accents" in printed
    written = np.load(tmp_path / "scores.npz")
    tested = np.load(files[0])
    centre = np.load(files[2])["embeddings"].mean(0)
    vectors = dict(zip(tested["keys"].tolist(), tested["embeddings"] - centre, strict=True))
    for place in (0, 7, -1):
        one, other = (vectors[str(written[side][place])] for side in ("first", "second"))
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert written["raw"][place] == pytest.approx(cosine)
    assert equal_error_rate(written["raw"], written["target"]) < 0.4
    assert equal_error_rate(written["calibrated"], written["target"]) < 0.4


def world(seed: int, speakers: int, first: int = 0, bias: float = 3.0):
    """Two accents; recordings of the second lie close together, whoever speaks."""
    draw = np.random.default_rng(seed)
    accent = np.repeat(["A", "B"], speakers // 2)
    spread = np.where(accent == "A", 1.0, 0.3)
    directions = {"A": np.eye(20)[0] * bias, "B": np.eye(20)[1] * bias}
    voice = np.stack([directions[one] for one in accent]) + draw.standard_normal((speakers, 20)) * spread[:, None]
    row = np.repeat(np.arange(speakers), 4)
    vectors = voice[row] + 0.4 * draw.standard_normal((len(row), 20)) * spread[row][:, None]
    names = np.array([f"s{first + one}" for one in row])
    keys = np.array([f"{name}-{at}" for at, name in enumerate(names)])
    return SpeakerEmbeddings("here", keys, vectors, names, accent[row], None)


def test_accents_that_sound_alike_are_told_with_one_threshold_afterwards():
    tested, cohort = world(0, 60), world(1, 100, first=1000)
    first, second = np.triu_indices(len(tested.key_N), 1)
    target = tested.speaker_N[first] == tested.speaker_N[second]
    scores = score_trials(tested, Trials(first, second, target), cohort, top=20)
    found = {one.name: one for one in figures(scores, target)}
    raw, normalised, calibrated = found["within accents"].eer
    assert normalised < 0.7 * raw and calibrated < 0.7 * raw
    assert found["within accents"].cllr < 0.5
    assert found["all"].targets == target.sum()
    # Between two accents, the targets are those of both; the others are pairs of one speaker of each.
    between = found["A - B"]
    apart = tested.accent_N[first] != tested.accent_N[second]
    assert (between.targets, between.others) == (target.sum(), apart.sum())
    assert between.eer[0] == pytest.approx(
        equal_error_rate(
            np.concatenate([scores.raw_n[target], scores.raw_n[apart]]),
            np.arange(target.sum() + apart.sum()) < target.sum(),
        )
    )


def test_kaldi_archives_give_what_npz_gives(files, tmp_path):
    kaldiio = pytest.importorskip("kaldiio", reason="the extra `kaldi` is not installed")
    tested = np.load(files[0])
    vectors = dict(zip(tested["keys"].tolist(), tested["embeddings"].astype(np.float32), strict=True))
    kaldiio.save_ark(str(tmp_path / "xvector.ark"), vectors, scp=str(tmp_path / "xvector.scp"))
    rows = zip(tested["keys"], tested["speakers"], tested["accents"], strict=True)
    (tmp_path / "who.tsv").write_text("utterance\tspeaker\taccent\n" + "".join("\t".join(row) + "\n" for row in rows))
    for name in ("xvector.ark", "xvector.scp"):
        found = read_speaker_embeddings(tmp_path / name, tmp_path / "who.tsv")
        expected = read_speaker_embeddings(files[0])
        assert found.key_N.tolist() == expected.key_N.tolist()
        assert found.accent_N.tolist() == expected.accent_N.tolist()
        np.testing.assert_allclose(found.embedding_NE, expected.embedding_NE, atol=1e-5)


def test_a_speaker_on_both_sides_of_the_line_is_refused(files):
    tested = read_speaker_embeddings(files[0])
    with pytest.raises(AccentError, match="is in the trials too"):
        score_trials(tested, read_trials(files[1], tested), tested)


def test_a_cohort_without_an_accent_is_refused():
    tested, cohort = world(0, 20), world(1, 20, first=100)
    only = cohort.accent_N == "A"
    few = SpeakerEmbeddings(
        "c", cohort.key_N[only], cohort.embedding_NE[only], cohort.speaker_N[only], cohort.accent_N[only], None
    )
    with pytest.raises(AccentError, match="the cohort of B has 0 speakers"):
        score_trials(tested, Trials(np.array([0]), np.array([1]), np.array([True])), few)


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ("1 a\n", "line 1: not '1 FIRST SECOND'"),
        ("2 a b\n", "line 1: not"),
        ("1 a b\n", "no embedding of a"),
        ("", "no trial"),
    ],
)
def test_trials_that_cannot_be_read_are_one_line(files, tmp_path, lines, line):
    (tmp_path / "trials.txt").write_text(lines)
    with pytest.raises(AccentError, match=line):
        read_trials(tmp_path / "trials.txt", read_speaker_embeddings(files[0]))


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"keys": np.array(["a"])}, "has no array embeddings"),
        ({"keys": np.array(["a"]), "embeddings": np.ones(3)}, r"shape \(3,\) for 1 keys"),
        ({"keys": np.array(["a"]), "embeddings": np.full((1, 3), np.nan)}, "no finite numbers"),
        ({"keys": np.array(["a"]), "embeddings": np.ones((1, 3))}, "does not say who speaks"),
    ],
)
def test_embeddings_that_cannot_be_used_are_one_line(tmp_path, arrays, line):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(AccentError, match=line):
        read_speaker_embeddings(tmp_path / "x.npz")
