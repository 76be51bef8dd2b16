"""Melody and rhythm of every accent: F0 contours, and measures of vocalic and consonantal intervals by speaker.

Shapes: S speakers, P points of a contour, R measures.  Cost: see `launch.html_report.speech`.
"""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from accent.features.utterance.rhythm import RHYTHM_COLUMNS
from launch.html_report.look import colour, faint, symbol
from launch.html_report.section import Plot, Section, add_buttons, listed
from launch.html_report.sections.lacking import lacks_alignments
from launch.html_report.speech import CONTOUR_POINTS, Speech, by_speaker, mean_and_error

MEASURES = {
    "percent_v": "%V: share of the time that is vocalic",
    "npvi_v": "nPVI-V: change from one vocalic interval to the next, in %",
    "varco_v_percent": "VarcoV: spread of vocalic intervals over their mean, in %",
    "delta_c_ms": "deltaC: spread of consonantal intervals, in ms",
    "rpvi_c_ms": "rPVI-C: change from one consonantal interval to the next, in ms",
    "phones_per_second": "phones a second, pauses left out",
}


def section(speeches: Mapping[str, Speech], lacking: list[str]) -> Section:
    """Return the section.

    Args:
        speeches: by the shard set's name.
        lacking: a line for each run whose shard set is not here.
    """
    found = Section(
        "prosody",
        "Melody and rhythm",
        "F0 over the time of an utterance, in semitones from the speaker's median, averaged over utterances and then "
        "over speakers; the band is the standard error over speakers. Rhythm: a point is a speaker, the mean of their "
        "utterances. All speakers of the corpus count.",
        missing=list(lacking),
    )
    for number, (name, speech) in enumerate(speeches.items()):
        found.plots.append(draw_contours(f"prosody-f0-{number}", f"{name}: F0 contours", contours(speech)))
        if np.isfinite(speech.rhythm_NR).any():
            found.plots.append(draw_rhythm(f"prosody-rhythm-{number}", f"{name}: rhythm", speech))
        else:
            found.missing.append(lacks_alignments(name, "rhythm"))
    return found


def contours(speech: Speech) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the mean contour [P] of each accent and its standard error over speakers [P]."""
    found = {}
    for accent in speech.accents:
        speakers = speech.speakers_of(accent)
        if speakers:
            mean_P, error_P, _ = mean_and_error(by_speaker(speech.f0_NP, speech.speaker_N, speakers))
            found[accent] = (mean_P, error_P)
    return found


def draw_contours(plot_id: str, title: str, found: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Plot:
    """Draw the contours of all accents with their bands."""
    figure = go.Figure()
    time_P = ((np.arange(CONTOUR_POINTS) + 0.5) / CONTOUR_POINTS).tolist()
    for number, (accent, (mean_P, error_P)) in enumerate(found.items()):
        width_P = np.nan_to_num(error_P)
        band = [*(mean_P + width_P), *(mean_P - width_P)[::-1]]
        figure.add_scatter(
            x=[*time_P, *time_P[::-1]],
            y=listed(np.array(band)),
            fill="toself",
            fillcolor=faint(number),
            line={"width": 0},
            mode="lines",
            legendgroup=accent,
            showlegend=False,
            name=f"{accent}, standard error",
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=time_P,
            y=listed(mean_P),
            name=accent,
            legendgroup=accent,
            mode="lines",
            line={"color": colour(number)},
            hovertemplate="%{y:+.2f} semitones at %{x:.0%}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "time in the utterance"}, "tickformat": ".0%", "range": [0, 1]},
        yaxis={"title": {"text": "semitones from the speaker's median"}},
    )
    return Plot(plot_id, title, figure, height=480)


def draw_rhythm(plot_id: str, title: str, speech: Speech) -> Plot:
    """Draw a measure by accent, a point a speaker; buttons choose the measure."""
    figure = go.Figure()
    choice_of_trace = []
    for choice, measure in enumerate(MEASURES):
        column = RHYTHM_COLUMNS.index(measure)
        for number, accent in enumerate(speech.accents):
            speakers = speech.speakers_of(accent)
            if not speakers:
                continue
            value_S = by_speaker(speech.rhythm_NR[:, [column]], speech.speaker_N, speakers)[:, 0]
            defined_S = np.isfinite(value_S)
            figure.add_box(
                y=listed(value_S[defined_S]),
                text=np.array(speakers)[defined_S].tolist(),
                name=accent,
                boxpoints="all",
                pointpos=0,
                jitter=0.4,
                marker={"color": colour(number), "symbol": symbol(number), "size": 6, "opacity": 0.8},
                fillcolor="rgba(0,0,0,0)",
                hovertemplate="%{text}: %{y:.1f}<extra>%{fullData.name}</extra>",
            )
            choice_of_trace.append(choice)
    titles = list(MEASURES.values())
    figure.update_layout(yaxis={"title": {"text": titles[0]}}, showlegend=False)
    add_buttons(figure, [title.partition(":")[0] for title in titles], choice_of_trace, titles)
    return Plot(plot_id, title, figure, height=480)
