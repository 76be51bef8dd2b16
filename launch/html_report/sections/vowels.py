"""The vowel space of every accent: F1 and F2, after Lobanov's normalisation of each speaker.

Shapes: W vowels said, S speakers, K vowel categories.  Cost: see `launch.html_report.speech`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from accent.features.utterance.vowels import MIN_CATEGORIES, MONOPHTHONGS
from launch.html_report.look import colour, symbol
from launch.html_report.section import Plot, Section, listed
from launch.html_report.sections.lacking import lacks_alignments
from launch.html_report.speech import Speech, mean_and_error


class Vowels(NamedTuple):
    """The vowels of an accent, a value a category of `MONOPHTHONGS`; NaN where nobody says it."""

    accent: str
    mean_K2: np.ndarray
    """F1 and F2 in standard deviations of a speaker, averaged over speakers."""
    error_K2: np.ndarray
    """Standard error of this mean over speakers."""
    speakers_K: np.ndarray
    """How many speakers say it."""


def section(speeches: Mapping[str, Speech], lacking: list[str]) -> Section:
    """Return the section.

    Args:
        speeches: by the shard set's name.
        lacking: a line for each run whose shard set is not here.
    """
    found = Section(
        "vowels",
        "Vowel space",
        "The first two formants of each vowel, by accent. Each speaker's formants have mean 0 and standard deviation 1 "
        "over all vowels they say (Lobanov 1971), so that vocal tracts of any length can be compared. Bars are the "
        "standard error over speakers. All speakers of the corpus count.",
        missing=list(lacking),
    )
    for number, (name, speech) in enumerate(speeches.items()):
        if speech.aligned:
            found.plots.append(draw(f"vowels-{number}", f"{name}: F1 and F2, normalised by speaker", gather(speech)))
        else:
            found.missing.append(lacks_alignments(name, "vowels"))
    return found


def gather(speech: Speech) -> list[Vowels]:
    """Average the vowels of each accent over its speakers."""
    return [
        Vowels(accent, *_average(np.stack([lobanov(speech, name) for name in speech.speakers_of(accent)])))
        for accent in speech.accents
        if speech.speakers_of(accent)
    ]


def lobanov(speech: Speech, speaker: str) -> np.ndarray:
    """Return a speaker's mean F1 and F2 of each vowel, in standard deviations from their own mean: [K, 2].

    NaN for vowels not said, and for all of them where a speaker says fewer than three vowels.
    """
    rows_W = speech.vowel_speaker_W == speaker
    formant_w2, vowel_w = speech.formant_W2[rows_W], speech.vowel_W[rows_W]
    place_K2 = np.full((len(MONOPHTHONGS), 2), np.nan)
    if len(set(vowel_w)) < MIN_CATEGORIES or not (formant_w2.std(0) > 0).all():
        return place_K2
    standard_w2 = (formant_w2 - formant_w2.mean(0)) / formant_w2.std(0)
    for category, vowel in enumerate(MONOPHTHONGS):
        if (vowel_w == vowel).any():
            place_K2[category] = standard_w2[vowel_w == vowel].mean(0)
    return place_K2


def draw(plot_id: str, title: str, accents: list[Vowels]) -> Plot:
    """Draw the vowels of all accents, high vowels at the top and front vowels on the left, as phoneticians do."""
    figure = go.Figure()
    for number, (accent, mean_K2, error_K2, speakers_K) in enumerate(accents):
        said_K = np.isfinite(mean_K2).all(1)
        if not said_K.any():
            continue
        figure.add_scatter(
            x=listed(mean_K2[said_K, 1]),
            y=listed(mean_K2[said_K, 0]),
            error_x={"type": "data", "array": listed(error_K2[said_K, 1]), "thickness": 1, "width": 0},
            error_y={"type": "data", "array": listed(error_K2[said_K, 0]), "thickness": 1, "width": 0},
            text=[vowel for vowel, said in zip(MONOPHTHONGS, said_K, strict=True) if said],
            customdata=[[int(count)] for count in speakers_K[said_K]],
            textposition="top right",
            name=accent,
            mode="markers+text",
            marker={"color": colour(number), "symbol": symbol(number), "size": 8},
            textfont={"color": colour(number)},
            hovertemplate="%{text}: F1 %{y:.2f}, F2 %{x:.2f}, %{customdata[0]} speakers<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "F2 (standard deviations)"}, "autorange": "reversed"},
        yaxis={"title": {"text": "F1 (standard deviations)"}, "autorange": "reversed"},
    )
    return Plot(plot_id, title, figure, height=600)


def _average(place_SK2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, error, count = mean_and_error(place_SK2.reshape(len(place_SK2), -1))
    return mean.reshape(-1, 2), error.reshape(-1, 2), count.reshape(-1, 2)[:, 0]
