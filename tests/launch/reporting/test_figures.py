"""Pictures and tables: drawn for every shape of data, whole, and with nothing cut."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from rich.console import Console

from accent.errors import AccentError
from launch.evaluation.measures import measure
from launch.extraction.recordings import Recordings
from launch.reporting.figures import PALETTE, draw_confusion, draw_fusion, draw_space, look
from launch.reporting.tables import TITLES, figures_table, groups_table


def recordings(accents: int, speakers: int, utterances: int = 3, first: int = 0, sexes=("female", "male")):
    """Unit-length embeddings that lean towards their accent; speakers `first`, `first + 1` ... of each accent."""
    generator = np.random.default_rng(first)
    accent_N = np.repeat(np.arange(accents), speakers * utterances)
    place_N = np.tile(np.repeat(np.arange(speakers), utterances), accents)
    embeddings = np.eye(16)[accent_N % 16] + 0.4 * generator.standard_normal((len(accent_N), 16))
    return Recordings(
        key_N=np.array([f"k{first}-{row}" for row in range(len(accent_N))]),
        embedding_NE=(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32),
        probability_NA=generator.dirichlet(np.ones(accents), len(accent_N)).astype(np.float32),
        accent_N=accent_N,
        speaker_N=np.array([f"S{accent}x{first + place}" for accent, place in zip(accent_N, place_N, strict=True)]),
        sex_N=np.array([sexes[place % len(sexes)] for place in place_N]),
        seconds_N=generator.uniform(0.5, 8, len(accent_N)),
    )


def names(count: int) -> list[str]:
    return [f"Accent {letter}" for letter in "ABCDEFGHIJKLMNOP"[:count]]


def is_picture(path) -> bool:
    pixels = imread(path)
    assert min(pixels.shape[:2]) > 200
    colours = (255 * pixels).astype(np.uint32) @ (256 ** np.arange(pixels.shape[-1], dtype=np.uint32))
    return len(np.unique(colours)) > 20


@pytest.mark.parametrize(("accents", "tested"), [(2, 1), (6, 4), (10, 2)], ids=["two", "l2arctic", "many"])
def test_every_picture_is_drawn_whatever_the_counts(tmp_path, accents, tested):
    training, unseen = recordings(accents, 3), recordings(accents, tested, first=3)
    report = measure(training, unseen, names(accents))
    assert is_picture(draw_space(tmp_path / "space.png", training, unseen, names(accents)))
    assert is_picture(draw_confusion(tmp_path / "confusion.png", report, names(accents)))
    assert is_picture(draw_fusion(tmp_path / "fusion.png", {"mel": 0.6, "prosody": 0.4}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion.png", "fusion.png", "space.png"]


def test_a_handful_of_recordings_can_be_drawn(tmp_path):
    draw_space(tmp_path / "space.png", recordings(2, 1, 1), recordings(1, 1, 1, first=1), names(2))
    assert is_picture(tmp_path / "space.png")


def test_the_same_data_give_the_same_picture(tmp_path):
    training, unseen = recordings(3, 2), recordings(3, 1, first=2)
    first, second = (draw_space(tmp_path / f"{n}.png", training, unseen, names(3)) for n in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_sixty_four_names_all_look_different_and_none_is_lost_on_white():
    assert len({look(number) for number in range(64)}) == 64
    # Relative luminance and contrast as in WCAG 2.2; 2 keeps the lightest colour, a pale blue, clearly visible.
    for colour in PALETTE:
        linear = [((value + 0.055) / 1.055) ** 2.4 if value > 0.04045 else value / 12.92 for value in to_rgb(colour)]
        assert 1.05 / (np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05) > 2


def shown(table) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_tables_fit_eighty_columns_with_every_figure():
    report = {"title": "twelve", **measure(recordings(6, 3), recordings(6, 2, first=3), names(6))}
    text, by_group = shown(figures_table(report)), shown(groups_table(report))
    assert "…" not in text + by_group
    for section in ("verification", "retrieval", "leakage"):
        for name in report[section]:
            assert TITLES[name] in text
    accuracy = report["classification"]["linear_probe"]["accuracy"]
    row = next(line for line in text.splitlines() if line.startswith("linear probe, accuracy"))
    low, high = accuracy["interval"]
    for expected in (f"{accuracy['value']:.3f}", f"{low:.3f}-{high:.3f}", f"{accuracy['chance']:.3f}"):
        assert expected in row
    for group in ("female", "male", "below 2 s", "4 s and more"):
        assert group in by_group


def test_a_missing_figure_points_to_its_reason():
    report = {"title": "two", **measure(recordings(3, 2), recordings(3, 1, first=2), names(3))}
    lines = shown(figures_table(report)).splitlines()
    row = next(line for line in lines if line.startswith("accent EER, unseen pairs"))
    number = row.split("(")[1].split(")")[0]
    assert f"({number}) no two speakers share an accent" in [line.strip() for line in lines]


def test_unknown_sex_makes_no_group():
    report = measure(recordings(3, 2), recordings(3, 2, first=2, sexes=("",)), names(3))
    assert report["by_sex"] == {}


def test_a_shared_speaker_is_refused():
    with pytest.raises(AccentError, match="trained on, so not unseen"):
        measure(recordings(2, 3), recordings(2, 3, first=2), names(2))


@pytest.mark.parametrize("name", [r"A$\frac B$", "$", "a_b^c$x", r"\alpha", "100 $ or 200 $"])
def test_a_name_that_looks_like_a_formula_is_drawn_as_it_is_written(tmp_path, name):
    training, unseen, accents = recordings(2, 2), recordings(2, 1, first=2), [name, "other"]
    assert is_picture(draw_space(tmp_path / "space.png", training, unseen, accents))
    assert is_picture(draw_confusion(tmp_path / "confusion.png", measure(training, unseen, accents), accents))
    assert is_picture(draw_fusion(tmp_path / "fusion.png", {name: 0.6, "prosody": 0.4}))
