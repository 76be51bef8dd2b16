"""From a speaker's sums to one vector of unit length.

Every cell of every view is compared with what the training speakers do there, shrunk towards them where little was
heard: (sum - count x mean) / (count + prior).  Entries are brought to the spread of the training speakers, cut off
softly, and weighed by how much of that spread lies between accents.  Views are weighed by learned fusion weights and
mapped together to some hundred principal directions of the training speakers; a linear map, the only part with many
learned weights, leads from there to the embedding.  A cell of which nothing was heard adds nothing.

What is measured (means, spreads, weights of the entries, directions) is measured once, on training speakers, before
training begins: `accent.model.phonetic.measure`.

Cost: about 65,000 entries x 512 directions a row.

Shapes: R rows, V views, K cells, C columns, X entries of a view, Q principal directions, E embedding.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.model.keyed_dropout import KeyedDropout
from accent.model.layers import FullPrecisionLinear, full_precision
from accent.model.phonetic.inventory import Inventory
from accent.model.phonetic.statistics import PhoneStatistics
from accent.model.phonetic.views import Cells, FrameColumns, View

PRIOR_FRAMES = 1.0
"""Frames that the training speakers' mean weighs in a cell."""
PRIOR_ENTRIES = 1.0
"""Phones that the training speakers' mean weighs in a duration."""
SOFT_LIMIT = 1.5
"""Standard deviations at which entries begin to be cut off."""
STORED = torch.float16
"""How directions are stored: they are by far the largest part of the model, and their last digits decide nothing."""
DIRECTION_SCALE = 8.0
"""Root mean square length of the projected training speakers, so that the map's weights are of the usual size."""


class ViewTable(nn.Module):
    """One view's entries, standardised; everything in it is measured and nothing learned.

    Args:
        view: which.
        cells: K.
        columns: C; 1 for durations.
    """

    def __init__(self, view: View, cells: int, columns: int) -> None:
        super().__init__()
        self.view = view
        self.mean_KC: Tensor
        self.scale_KC: Tensor
        self.centre_KC: Tensor
        self.weight_KC: Tensor
        for name, fill in (("mean", 0.0), ("scale", 1.0), ("centre", 0.0), ("weight", 1.0)):
            self.register_buffer(f"{name}_KC", torch.full((cells, columns), fill))

    def deviations(self, count_RK: Tensor, total_RKC: Tensor, prior: float) -> Tensor:
        """Return how far each cell's mean lies from the training speakers', shrunk by the prior: `[R, K, C]`."""
        count_RK1 = count_RK.unsqueeze(-1)
        return (total_RKC - count_RK1 * self.mean_KC) / (count_RK1 + prior)

    def entries(self, deviation_RKC: Tensor) -> Tensor:
        """Return the entries `[R, X]`: standardised, softly cut off, weighed."""
        # In place: some million entries a batch, and a copy of them costs as much as the arithmetic.
        standard_RKC = (deviation_RKC - self.centre_KC).div_(self.scale_KC)
        return standard_RKC.div_(SOFT_LIMIT).tanh_().mul_(self.weight_KC).flatten(1)


class PhoneticEmbedding(nn.Module):
    """Views, fusion, directions and the map to the embedding.

    Args:
        views: the tables.
        inventory: the units.
        columns: what the sums are of.
        directions: Q, the most there can be.
        embedding_dim: E.
        dropout: share of the directions dropped in training.
    """

    def __init__(
        self,
        views: Sequence[View],
        inventory: Inventory,
        columns: FrameColumns,
        directions: int,
        embedding_dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.views = tuple(views)
        self.cells = Cells(inventory)
        self._columns = {view.name: columns.of(view) for view in self.views if view.columns}
        tables = []
        for view in self.views:
            if view.columns:
                where = self._columns[view.name]
                tables.append(ViewTable(view, self.cells.counts[view.level], where.stop - where.start))
            else:
                tables.append(ViewTable(view, self.cells.n_phones + self.cells.counts["unit"], 1))
        self.tables = nn.ModuleList(tables)
        self.sizes = [table.mean_KC.numel() for table in tables]
        """Entries of each view."""
        self.directions_XQ: Tensor
        self.register_buffer("directions_XQ", torch.zeros(sum(self.sizes), directions))
        start_V = torch.tensor([view.weight for view in self.views])
        self.first_share_V: Tensor
        self.register_buffer("first_share_V", start_V / start_V.sum())
        self.fusion_logits_V = nn.Parameter(self.first_share_V.log())
        self.dropout = KeyedDropout(dropout)
        self.map = FullPrecisionLinear(directions, embedding_dim)

    @property
    def measured(self) -> bool:
        """Whether the tables and directions were measured on training speakers."""
        return bool(self.directions_XQ.any())

    def set_directions(self, directions_XQ: Tensor) -> None:
        """Take over the principal directions, rounded as they are stored."""
        self.directions_XQ.zero_()
        self.directions_XQ[:, : directions_XQ.shape[1]] = directions_XQ.to(STORED).to(self.directions_XQ.dtype)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}directions_XQ"] = destination[f"{prefix}directions_XQ"].to(STORED)

    def columns_of(self, view: View) -> slice:
        """Return where a view's columns lie in the sums; durations have none."""
        return self._columns[view.name]

    def weights(self) -> Tensor:
        """Return the share of each view, summing to one."""
        return torch.softmax(full_precision(self.fusion_logits_V), dim=0)

    def deviations(self, statistics: PhoneStatistics, table: ViewTable) -> Tensor:
        """Return one view's deviations `[R, K, C]` of rows of sums."""
        if table.view.columns:
            sums = self.cells.sums(statistics, table.view.level, self.columns_of(table.view))
            return table.deviations(*sums, PRIOR_FRAMES)
        entered_RK, length_RK = self.cells.log_lengths(statistics)
        relative_RK = length_RK - table.mean_KC.squeeze(1)
        rate_R1 = (entered_RK * relative_RK).sum(1, keepdim=True) / entered_RK.sum(1, keepdim=True).clamp(min=1e-3)
        share_RK = entered_RK / (entered_RK + PRIOR_ENTRIES)
        return (share_RK * (relative_RK - rate_R1)).unsqueeze(-1)

    def projected(self, statistics: PhoneStatistics) -> Tensor:
        """Return every view on the principal directions, `[R, V, Q]`, before fusion."""
        pairs = zip(self.entries(statistics), self.directions_XQ.split(self.sizes), strict=True)
        return torch.stack([entries_RX @ directions_XQ.to(entries_RX.dtype) for entries_RX, directions_XQ in pairs], 1)

    @torch.no_grad()
    def folded(self) -> "FoldedEmbedding":
        """Return the same without dropout, directions and map as one matrix: for many embeddings, one at a time."""
        change_V = (self.weights() / self.first_share_V).sqrt()
        parts = [
            # In this order the directions, by far the largest, are only read.
            change * (directions_XQ @ self.map.weight.T)
            for change, directions_XQ in zip(change_V, self.directions_XQ.split(self.sizes), strict=True)
        ]
        return FoldedEmbedding(self, torch.cat(parts))

    def entries(self, statistics: PhoneStatistics) -> list[Tensor]:
        """Return the entries of each view, `[R, X]`."""
        tables = [table for table in self.tables if isinstance(table, ViewTable)]
        return [table.entries(self.deviations(statistics, table)) for table in tables]

    def forward(self, statistics: PhoneStatistics) -> Tensor:
        """Embed rows of sums.

        Args:
            statistics: of R rows.

        Returns:
            `[R, E]`, unit length, float32 or better.
        """
        with torch.autocast(statistics.count_RS.device.type, enabled=False):
            with torch.no_grad():
                projected_RVQ = self.projected(statistics)
            # The directions hold the shares that training began with; here is what it has changed of them.
            change_V = (self.weights() / self.first_share_V).sqrt()
            fused_RQ = (projected_RVQ * change_V[:, None]).sum(1)
            return F.normalize(self.map(self.dropout(fused_RQ)), dim=-1, eps=1e-12)


class FoldedEmbedding:
    """A `PhoneticEmbedding` that is not trained any more; 4 MB are read for an embedding, not 130.

    Args:
        embedding: whose views these are.
        map_XE: from entries of all views to the embedding, before it has unit length.
    """

    def __init__(self, embedding: PhoneticEmbedding, map_XE: Tensor) -> None:
        self._embedding, self._map_XE = embedding, map_XE

    @torch.no_grad()
    def __call__(self, statistics: PhoneStatistics) -> Tensor:
        """Embed rows of sums, `[R, E]`, as `PhoneticEmbedding` does, to rounding."""
        entries_RX = torch.cat(self._embedding.entries(statistics), dim=1)
        return F.normalize(entries_RX @ self._map_XE + self._embedding.map.bias, dim=-1, eps=1e-12)
