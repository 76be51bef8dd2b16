"""The picture of a recording: Praat's spectrogram, tracks at their times, every label in its box."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import parselmouth
import pytest
from matplotlib.image import imread

from accent.audio.prepare import load_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.textgrid import TIERS, read_labels
from launch.commands.measurement.draw import draw
from launch.reporting.recording_picture import choose_stretch, read_tiers
from launch.reporting.spectrogram import DYNAMIC_RANGE_DB, spectrogram


@pytest.fixture(scope="module")
def sound(saa: Path) -> Path:
    return saa / "ARA004" / "wav" / "arctic_a0001.wav"


def test_the_spectrogram_is_the_one_that_praat_paints(sound: Path) -> None:
    sound_N = load_speech(sound, FeatureConfig().audio).unfiltered_N
    praat = parselmouth.Sound(sound_N, 16_000).to_spectrogram(0.005, 5000, 0.002, 20)
    # Praat's frames lie at odd milliseconds, ours at even ones; every second of our frequencies is one of Praat's.
    ours_FT = spectrogram(sound_N[16:], 0.5, 1.5).levels_FT[1::2][:159]
    first = round((0.501 - praat.xs()[0]) / 0.002)
    theirs_FT = praat.values[1:, first : first + ours_FT.shape[1]]
    theirs_FT = 10 * np.log10(theirs_FT) + 6 * np.log2(praat.ys()[1:] / 1000)[:, None]
    theirs_FT -= theirs_FT.max()
    painted_FT = theirs_FT > -DYNAMIC_RANGE_DB
    difference = np.abs(ours_FT - ours_FT.max() - theirs_FT)[painted_FT]
    assert ours_FT.shape == theirs_FT.shape == (159, 500) and painted_FT.mean() > 0.9
    assert np.median(difference) < 0.06 and np.quantile(difference, 0.99) < 0.6


def test_it_is_drawn_as_png_and_svg_with_every_label_of_the_stretch(sound: Path, saa: Path, tmp_path: Path) -> None:
    png, svg = tmp_path / "picture.png", tmp_path / "picture.svg"
    draw(sound, [png, svg], start=0.1, end=1.3, sex="male")
    pixels = imread(png)
    assert pixels.shape[0] > 900 and pixels.shape[1] >= 1200
    written = ["".join(one.itertext()) for one in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    labels = read_labels(saa / "ARA004" / "textgrid" / "arctic_a0001.TextGrid", TIERS)
    said = [label for left, right, label in labels if right > 0.1 and left < 1.3 and label]
    assert {"please", "call", "stella", "words", "phones", "F0 (Hz)", "time (s)"} <= set(written)
    assert len(said) > 10 and all(written.count(label) >= said.count(label) for label in said)
    assert "store" not in written


def test_labels_with_dollars_and_ipa_are_drawn_as_they_are_and_twice_alike(sound: Path, tmp_path: Path) -> None:
    textgrid = tmp_path / "odd.TextGrid"
    textgrid.write_text(
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n4.3\n<exists>\n1\n"IntervalTier"\n"phones"\n'
        '0\n4.3\n2\n0\n2\n"A$\\frac B$"\n2\n4.3\n"ʃ"\n',
        encoding="utf-8",
    )
    for name in ("picture.svg", "again.svg"):
        draw(sound, [tmp_path / name], textgrid=textgrid, start=1.8, end=2.2)
    text, again = ((tmp_path / name).read_text(encoding="utf-8") for name in ("picture.svg", "again.svg"))
    # matplotlib names the areas that it clips to after unrounded numbers of the layout, whose last digits vary.
    assert re.sub(r"\bp[0-9a-f]{10}\b", "area", text) == re.sub(r"\bp[0-9a-f]{10}\b", "area", again)
    assert "A$\\frac B$" in text and "ʃ" in text
    assert [tier.name for tier in read_tiers(textgrid)] == ["phones"]


def test_what_cannot_be_drawn_is_told_in_one_line(sound: Path, tmp_path: Path) -> None:
    assert choose_stretch(600.0, 10.0, 12.5) == (10.0, 12.5) and choose_stretch(4.0, 1.0, None) == (1.0, 4.0)
    with pytest.raises(AccentError, match=r"600\.0 s do not fit one picture"):
        choose_stretch(600.0, 0.0, None)
    with pytest.raises(AccentError, match=r"no stretch of a recording of 4\.00 s"):
        choose_stretch(4.0, 5.0, None)
    with pytest.raises(AccentError, match=r"a picture ends in \.png or \.svg"):
        draw(sound, [tmp_path / "picture.pdf"])
