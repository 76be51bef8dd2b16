"""Which phones carry which accent, in a model of the branch `phones`: read off its weights, without any sound.

The embedding before it is brought to unit length is a linear map of the standardised entries of all phones, and the
accent head compares it with one direction an accent.  So every entry has a weight in the comparison of an accent with
the mean of all.  Entries have about the same spread, so the squares of these weights say how much of the comparison
rests on an entry.  They are summed over the entries of a phone, its contexts, thirds and columns.  Views with many
entries, which go up and down together, would come off too lightly by that, so each view gets its fusion weight, and
the squares divide it over the phones.  The shares sum to one for each accent.

Shapes: A accents, V views, P phones, K cells and C columns of a view, Q directions.  Cost: reads the model; a second.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import torch
import torch.nn.functional as F

from accent.features.phones import PHONES
from accent.inference.model_file import load_model
from accent.model.phonetic.embedding import ViewTable
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.inventory import SILENCE_NUMBER, STATES_PER_UNIT
from launch.html_report.files import RunFiles
from launch.html_report.look import SEQUENTIAL
from launch.html_report.section import Plot, Section
from launch.html_report.sections.lacking import lacks_model

DIGITS = 5


class Shares(NamedTuple):
    """How much of each accent's comparison rests on what."""

    accents: list[str]
    views: list[str]
    phones: list[str]
    share_AVP: np.ndarray
    """Sums to one for each accent."""


def section(runs: Sequence[RunFiles]) -> Section:
    """Return the section."""
    found = Section(
        "phones",
        "Phones that carry the accent",
        "How much of the comparison of an accent with all others rests on each phone: the fusion weight of each view, "
        "divided over the phones by the squared weights of their entries. The shares of an accent sum to one. The "
        "phones that matter most stand first.",
    )
    for number, run in enumerate(runs):
        shares = gather(run)
        if isinstance(shares, str):
            found.missing.append(shares)
            continue
        found.plots += [
            draw_accents(f"phones-accents-{number}", f"{run.name}: phones by accent", shares),
            draw_views(f"phones-views-{number}", f"{run.name}: what of each phone, mean over accents", shares),
        ]
    return found


def gather(run: RunFiles) -> Shares | str:
    """Return the shares in a run's model, or their mean over the models of all folds; or why there are none."""
    found = []
    for folder in run.model_folders:
        model, _ = load_model(folder)
        if not isinstance(model, PhoneticEncoder):
            branch = "train one of the branch phones, such as configs/saa8k.yaml"
            return f"{run.name}: its model pools over time, not by phone; {branch}"
        if not model.embedding.measured:
            return f"{run.name}: only its phone heads are trained; train an encoder that begins with them (init=RUN)"
        found.append(shares_of(model))
    if not found:
        return lacks_model(run)
    phones = sorted({phone for one in found for phone in one.phones})
    mean_AVP = np.zeros((len(found[0].accents), len(found[0].views), len(phones)))
    for one in found:
        mean_AVP[:, :, [phones.index(phone) for phone in one.phones]] += one.share_AVP / len(found)
    return Shares(found[0].accents, found[0].views, phones, mean_AVP)


@torch.no_grad()
def shares_of(encoder: PhoneticEncoder) -> Shares:
    """Return the shares in one model."""
    embedding = encoder.embedding
    cells = embedding.cells
    phone_U = encoder.recogniser.inventory.phone_U
    numbers = sorted(set(phone_U[phone_U != SILENCE_NUMBER].tolist()))
    phone_of_cell = {
        "phone": torch.arange(len(numbers)).repeat_interleave(STATES_PER_UNIT),
        "unit": cells.unit_phone_U,
        "state": cells.unit_phone_U.repeat_interleave(STATES_PER_UNIT),
    }
    direction_AE = F.normalize(encoder.accent_head.direction_AE.double(), dim=-1)
    contrast_AQ = (direction_AE - direction_AE.mean(0)) @ embedding.map.weight.double()
    change_V = (embedding.weights() / embedding.first_share_V).sqrt().double()
    squares = []
    parts = zip(embedding.tables, embedding.directions_XQ.split(embedding.sizes), change_V, strict=True)
    for table, directions_XQ, change in parts:
        assert isinstance(table, ViewTable)
        weight_AKC = (change * contrast_AQ @ directions_XQ.double().T).unflatten(1, table.weight_KC.shape)
        square_AK = (weight_AKC * table.weight_KC).square().sum(2)
        # Durations have a cell for each phone and then one for each unit.
        phone_K = (
            phone_of_cell[table.view.level]
            if table.view.columns
            else torch.cat([torch.arange(len(numbers)), cells.unit_phone_U])
        )
        squares.append(square_AK.new_zeros(len(square_AK), len(numbers)).index_add_(1, phone_K, square_AK))
    square_AVP = torch.stack(squares, dim=1)
    within_view_AVP = square_AVP / square_AVP.sum(2, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    return Shares(
        list(encoder.config.accents),
        [view.name for view in embedding.views],
        [PHONES[number] for number in numbers],
        (within_view_AVP * embedding.weights().double()[:, None]).numpy(),
    )


def draw_accents(plot_id: str, title: str, shares: Shares) -> Plot:
    """Draw accents by phones."""
    return _heatmap(plot_id, title, shares.accents, shares, shares.share_AVP.sum(1))


def draw_views(plot_id: str, title: str, shares: Shares) -> Plot:
    """Draw views by phones."""
    return _heatmap(plot_id, title, [view.replace("_", " ") for view in shares.views], shares, shares.share_AVP.mean(0))


def _heatmap(plot_id: str, title: str, rows: Sequence[str], shares: Shares, values: np.ndarray) -> Plot:
    order = np.argsort(-shares.share_AVP.sum((0, 1)), kind="stable")
    figure = go.Figure()
    figure.add_heatmap(
        z=np.round(values[:, order], DIGITS).tolist(),
        x=[shares.phones[place] for place in order],
        y=list(rows),
        name="share",
        colorscale=SEQUENTIAL,
        colorbar={"title": {"text": "share"}, "thickness": 12, "tickformat": ".0%"},
        hovertemplate="%{y}, %{x}: %{z:.1%}<extra></extra>",
    )
    figure.update_layout(
        xaxis={"tickangle": -90, "dtick": 1, "showgrid": False}, yaxis={"autorange": "reversed", "showgrid": False}
    )
    return Plot(plot_id, title, figure, height=180 + 26 * len(rows))
