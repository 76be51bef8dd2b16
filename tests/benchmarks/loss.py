"""What the losses over pairs cost: ours, the plain full-matrix form and pytorch-metric-learning's.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.loss

Rows as one rank of eight sees them: an eighth of the global batch as anchors, or --rows if that is fewer, against all
of it.  Random embeddings of 192 dimensions (preset base), 24 accents of 4 speakers; gathering is not part of it.

The forms take turns, and the fastest of three rounds counts; one that took more than 20 s is not repeated.  Memory is
what the loss adds to its inputs: at the peak of forward and backward, and kept between them.  On a CPU it is counted
tensor by tensor, in a round of its own (what an operator allocates inside itself is not seen); on a GPU torch's
allocator tells.  What would need more than 60 % of the free memory, going by the global batch before it, is not run.

pytorch-metric-learning takes keys from elsewhere as `ref_emb`, and then counts each anchor as its own positive: the
same work, another value.  Its semi-hard miner lists all triplets, B x N x N numbers, and is left out.
"""

import dataclasses
import gc
import math
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from pytorch_metric_learning.losses import SupConLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from accent.losses.config import LossConfig
from accent.losses.contrastive import contrastive_loss
from accent.losses.pairs import LabelledEmbeddings, PairRule
from accent.losses.semi_hard import semi_hard_loss
from accent.losses.triplet import triplet_loss
from tests.support.device import device_name, synchronize
from tests.support.live_bytes import LiveBytes
from tests.support.loss_rows import full_matrix

EMBEDDING, ACCENTS, SPEAKERS, WORLD = 192, 24, 96, 8
GLOBAL_BATCHES = (1024, 4096, 16384, 65536)
CONFIG, RULE = LossConfig(), PairRule()
LONG_SECONDS = 20.0
"""A round that takes longer is not repeated."""
MOST_OF_FREE_MEMORY = 0.6

Loss = Callable[[LabelledEmbeddings, LabelledEmbeddings, Tensor], Tensor]


@dataclasses.dataclass
class Cost:
    """Of one forward and backward."""

    peak_bytes: int
    saved_bytes: int = 0
    forward_seconds: float = math.inf
    backward_seconds: float = math.inf
    fits: bool = True

    @property
    def seconds(self) -> float:
        """Of both together."""
        return self.forward_seconds + self.backward_seconds

    def keep_faster(self, forward_seconds: float, backward_seconds: float) -> None:
        """Take over a round's times if it was the fastest."""
        if forward_seconds + backward_seconds < self.seconds:
            self.forward_seconds, self.backward_seconds = forward_seconds, backward_seconds

    def cells(self) -> list[str]:
        """Return the numbers as a table shows them."""
        if not self.fits:
            return ["not run:", "needs about", f"{self.peak_bytes / 1e6:,.0f}", ""]
        milliseconds = [f"{1e3 * part:,.1f}" for part in (self.forward_seconds, self.backward_seconds)]
        return [*milliseconds, *(f"{part / 1e6:,.1f}" for part in (self.peak_bytes, self.saved_bytes))]


def main(
    rows: Annotated[int, typer.Option(help="most anchors of the rank; 0 takes an eighth of every global batch")] = 1024,
    threads: Annotated[int, typer.Option(help="of the processor")] = 1,
) -> None:
    """Print one table."""
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    console = Console()
    table = Table(title=f"One rank's loss on {device_name(device)}, float32; tile {CONFIG.tile}")
    for heading in ("loss", "form"):
        table.add_column(heading)
    for heading in ("anchors x keys", "forward ms", "backward ms", "peak MB", "kept MB"):
        table.add_column(heading, justify="right")
    for kind, forms in contestants().items():
        for form, costs in measure(forms, rows, device, console).items():
            for (anchors, keys), cost in costs.items():
                table.add_row(kind, form, f"{anchors:,} x {keys:,}", *cost.cells())
            table.add_section()
    console.print(table)


def contestants() -> dict[str, dict[str, Loss]]:
    """Return, by loss and form, functions that give a mean over the anchors."""
    margin, tile = CONFIG.margin, CONFIG.tile
    sup_con, miner, triplet_margin = (
        SupConLoss(temperature=CONFIG.temperature),
        BatchHardMiner(),
        TripletMarginLoss(margin),
    )

    def library_contrastive(anchors: LabelledEmbeddings, keys: LabelledEmbeddings, temperature: Tensor) -> Tensor:
        return sup_con(anchors.embedding_NE, anchors.accent_N, ref_emb=keys.embedding_NE, ref_labels=keys.accent_N)

    def library_batch_hard(anchors: LabelledEmbeddings, keys: LabelledEmbeddings, temperature: Tensor) -> Tensor:
        labelled = (anchors.embedding_NE, anchors.accent_N)
        references = {"ref_emb": keys.embedding_NE, "ref_labels": keys.accent_N}
        triplets = miner(*labelled, **references)
        return triplet_margin(*labelled, triplets, **references)

    def ours(loss: Callable[[LabelledEmbeddings, LabelledEmbeddings, Tensor], Tensor]) -> Loss:
        return lambda anchors, keys, temperature: loss(anchors, keys, temperature) / len(anchors.valid_N)

    return {
        "contrastive": {
            "ours": ours(lambda anchors, keys, t: contrastive_loss(anchors, keys, t, RULE, tile).total),
            "full matrix": partial(full_matrix, RULE),
            "pytorch-metric-learning": library_contrastive,
        },
        "batch-hard triplet": {
            "ours": ours(lambda anchors, keys, _: triplet_loss(anchors, keys, margin, RULE, tile)[0].total),
            "pytorch-metric-learning": library_batch_hard,
        },
        "semi-hard triplet": {
            "ours": ours(lambda anchors, keys, _: semi_hard_loss(anchors, keys, margin, RULE, tile)[0].total),
        },
    }


def measure(
    forms: dict[str, Loss], most_rows: int, device: torch.device, console: Console
) -> dict[str, dict[tuple[int, int], Cost]]:
    """Return what each form costs by (anchors, keys)."""
    costs: dict[str, dict[tuple[int, int], Cost]] = {form: {} for form in forms}
    needed_an_entry = dict.fromkeys(forms, 0.0)
    for keys in GLOBAL_BATCHES:
        anchors = min(keys // WORLD, most_rows or keys)
        given = make_rows(anchors, keys, device)
        for form, loss in forms.items():
            cost = costs[form][anchors, keys] = Cost(int(needed_an_entry[form] * anchors * keys))
            cost.fits = cost.peak_bytes <= MOST_OF_FREE_MEMORY * free_bytes(device)
            if cost.fits:
                cost.peak_bytes, cost.saved_bytes = memory(loss, given, device)
                needed_an_entry[form] = cost.peak_bytes / (anchors * keys)
        for _ in track(range(3), f"{anchors:,} x {keys:,}", console=console, transient=True):
            for form, loss in forms.items():
                cost = costs[form][anchors, keys]
                if cost.fits and not LONG_SECONDS < cost.seconds < math.inf:
                    cost.keep_faster(*times(loss, given, device))
    return costs


def times(
    loss: Loss, given: tuple[LabelledEmbeddings, LabelledEmbeddings, Tensor], device: torch.device
) -> tuple[float, float]:
    """Return the seconds of one forward and of one backward."""
    synchronize(device)
    began = time.perf_counter()
    total = loss(*given)
    synchronize(device)
    between = time.perf_counter()
    total.backward()
    synchronize(device)
    ended = time.perf_counter()
    forget_gradients(given)
    return between - began, ended - between


def memory(
    loss: Loss, given: tuple[LabelledEmbeddings, LabelledEmbeddings, Tensor], device: torch.device
) -> tuple[int, int]:
    """Return the bytes at the peak and those kept between forward and backward, both beyond the inputs."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        total = loss(*given)
        saved = torch.cuda.memory_allocated(device) - before
        total.backward()
        peak = torch.cuda.max_memory_allocated(device) - before
    else:
        with LiveBytes([*given[0], *given[1], given[2]]) as counter:
            total = loss(*given)
            # The library's objects refer to one another in circles, which only the collector ends.
            gc.collect()
            saved = counter.now
            total.backward()
        peak = counter.peak
    forget_gradients(given)
    return peak, saved


def make_rows(anchors: int, keys: int, device: torch.device) -> tuple[LabelledEmbeddings, LabelledEmbeddings, Tensor]:
    """Return anchors, keys and a temperature as an objective hands them to its losses."""
    generator = torch.Generator().manual_seed(0)
    embedding_NE = F.normalize(torch.randn(keys, EMBEDDING, generator=generator), dim=1)
    speaker_N = torch.randint(SPEAKERS, (keys,), generator=generator)
    labels = (speaker_N % ACCENTS, speaker_N, speaker_N, torch.arange(keys), torch.ones(keys, dtype=torch.bool))
    every = LabelledEmbeddings(*(part.to(device) for part in (embedding_NE, *labels)))
    some = LabelledEmbeddings(*(part[:anchors].clone() for part in every))
    temperature = torch.tensor([CONFIG.temperature], device=device)
    for leaf in (some.embedding_NE, every.embedding_NE, temperature):
        leaf.requires_grad_()
    return some, every, temperature


def forget_gradients(given: tuple[LabelledEmbeddings, LabelledEmbeddings, Tensor]) -> None:
    """Free what backward left, so that every round does the same."""
    anchors, keys, temperature = given
    for leaf in (anchors.embedding_NE, keys.embedding_NE, temperature):
        leaf.grad = None


def free_bytes(device: torch.device) -> int:
    """Return how much memory is left."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    typer.run(main)
