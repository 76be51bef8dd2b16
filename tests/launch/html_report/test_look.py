"""Colours and markers: told apart, and seen on the light and on the dark page."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from launch.html_report import page
from launch.html_report.look import PALETTE, colour, symbol

STYLE = (Path(page.__file__).parent / "template" / "page.css").read_text(encoding="utf-8")
CARDS = re.findall(r"--card: (#\w+)", STYLE)


def luminance(colour: str) -> float:
    """Relative luminance as in WCAG 2.2."""
    linear = [((value + 0.055) / 1.055) ** 2.4 if value > 0.04045 else value / 12.92 for value in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("card", CARDS)
def test_every_colour_stands_out_on_both_pages(card):
    for one in PALETTE:
        light, dark = sorted([luminance(one), luminance(card)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 1.9, one


def test_there_is_a_light_and_a_dark_page():
    assert len(CARDS) == 2


def test_sixty_four_names_all_look_different():
    assert len({(colour(number), symbol(number)) for number in range(64)}) == 64
