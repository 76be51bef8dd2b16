"""A loss or a gradient that is not finite: what is done about it, and the batch that did it, kept for whoever looks.

    RUN/not_finite/step_00001234/rank_1.safetensors   what the module saw in that step: frames, masks, labels
                                 rank_1.json          step, rank, losses; sample, key, speaker, crop of each row

A fault in one row spreads over all processes with the loss.  So the rows are encoded once more, without dropout, and
those processes save whose embeddings are not finite; if there are none, those whose own loss is not finite; else the
first ones.  (Features that are not finite are usual: an unvoiced frame has no F0, and the model leaves them out.)

Cost: the batches of a step stay in memory until its end; nothing else until something is not finite.

Shape legend: B rows of a batch.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object
from safetensors.torch import save

from accent.errors import AccentError
from accent.files import write_bytes, write_text
from accent.model.build import AccentEncoder
from accent.strict_json import strict
from launch.extraction.extract import encode
from launch.extraction.speaker_statistics import voices_for
from launch.runtime.agreement import AllRanksError, Runtime
from shards.loading.batch import Batch
from shards.loading.loader import TrainingLoader
from shards.loading.protocol import TrainingBatches
from shards.shard_set.reader import ShardReader

FOLDER = "not_finite"
MOST_STEPS = 3
"""Steps of a run whose batches are kept; the first are those that tell most."""
MOST_RANKS = 4
"""Processes that save in one step."""
MOST_SKIPPED_IN_A_ROW = 100
"""Steps left out after which the fault lies deeper: fp16's scale has nothing left to halve."""


class _Kept(NamedTuple):
    number: int
    """Of the global batch."""
    batch: Batch
    loss: torch.Tensor


class _Own(NamedTuple):
    """What one process tells the others."""

    bad_rows: int
    bad_loss: bool
    room: bool


class NotFinite:
    """Acts on the steps of one run that are not finite.

    Args:
        run: the run's folder; None keeps no batch.
        train_loader: where the batches come from.
        encoder: encodes the rows once more; None where it does not embed utterances, or no process has all of it.
        stops: whether such a step ends the run.
        runtime: the processes.
    """

    def __init__(
        self,
        run: Path | None,
        train_loader: TrainingBatches,
        encoder: AccentEncoder | None,
        stops: bool,
        runtime: Runtime,
    ) -> None:
        self._folder = None if run is None else run / FOLDER
        self._loader, self._encoder, self._stops, self._runtime = train_loader, encoder, stops, runtime
        self._kept: list[_Kept] = []
        self._skipped_in_a_row = 0

    def keep(self, number: int, batch: Batch, loss: torch.Tensor) -> None:
        """Hold a batch of the present step until its end.

        Args:
            number: of the global batch.
            batch: as the module saw it.
            loss: of this process.
        """
        self._kept.append(_Kept(number, batch, loss.detach()))

    def step_done(self, step: int, applied: bool) -> None:
        """Let the batches of a step go.

        Args:
            step: its number, from 1.
            applied: whether it updated the weights.

        Raises:
            AllRanksError: too many steps in a row were left out.
        """
        self._kept.clear()
        self._skipped_in_a_row = 0 if applied else self._skipped_in_a_row + 1
        if self._skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
            raise AllRanksError(
                f"step {step}: the gradient was not finite in {self._skipped_in_a_row} steps in a row; "
                "try mixed_precision=bf16 or no, or a lower optimizer.lr"
            )

    def found(self, step: int, what: str, say: Callable[[str], None]) -> None:
        """Save the batches of a step, and end the run if it is to end; a collective.

        Args:
            step: its number, from 1.
            what: "the loss" or "the gradient".
            say: prints a line, where the run goes on.

        Raises:
            AllRanksError: the run is to end.
        """
        saved = self._save(step, what)
        if self._stops:
            raise AllRanksError(
                f"step {step}: {what} is not finite, nothing was updated and earlier checkpoints are good{saved}; "
                "try a lower optimizer.lr, a longer optimizer.warmup_steps or mixed_precision=no, or leave such steps "
                "out with not_finite=skip"
            )
        if saved:
            say(f"warning: step {step}: {what} is not finite, nothing was updated{saved}")

    def _save(self, step: int, what: str) -> str:
        """Return where the batches are, as the end of a clause; nothing if none was saved."""
        if self._folder is None:
            return ""
        folder, runtime = self._folder / f"step_{step:08d}", self._runtime
        finite = [self._finite(kept.batch) for kept in self._kept]
        own = _Own(
            sum(int((~finite_B).sum()) for finite_B in finite),
            not all(bool(kept.loss.isfinite()) for kept in self._kept),
            len(list(self._folder.glob("step_*"))) < MOST_STEPS,
        )
        everywhere = gather_object([own]) if runtime.world_size > 1 else [own]
        if not everywhere[0].room:
            return ""
        ranks = range(runtime.world_size)
        guilty = [rank for rank in ranks if everywhere[rank].bad_rows]
        guilty = (guilty or [rank for rank in ranks if everywhere[rank].bad_loss] or list(ranks))[:MOST_RANKS]
        fault: str | None = None
        if runtime.rank in guilty:
            try:
                self._write(folder, step, what, finite)
            except (AccentError, OSError) as error:
                fault = str(error)
        faults = gather_object([fault]) if runtime.world_size > 1 else [fault]
        told = next((one for one in faults if one is not None), None)
        if told is not None:
            return f"; its batch could not be saved ({told})"
        rows = sum(everywhere[rank].bad_rows for rank in guilty)
        seen = f", {rows} {'row' if rows == 1 else 'rows'} with an embedding that is not finite," if rows else ""
        named = f"process{'' if len(guilty) == 1 else 'es'} {', '.join(map(str, guilty))}"
        return f"; the batch of {named}{seen} is in {folder}"

    def _finite(self, batch: Batch) -> torch.Tensor:
        """Return which rows of a batch have an embedding that is finite, bool `[B]`."""
        if self._encoder is None:
            return torch.ones_like(batch.row_valid_B)
        device = self._runtime.device
        voices = voices_for(self._encoder, self._loader.shard_set, device)
        (rows,) = encode(self._encoder, [batch], device, voices, self._runtime.precision)
        return rows.embedding_BE.isfinite().all(1) | ~batch.row_valid_B

    def _write(self, folder: Path, step: int, what: str, finite: Sequence[torch.Tensor]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, torch.Tensor] = {}
        batches: list[dict[str, Any]] = []
        for place, (kept, finite_B) in enumerate(zip(self._kept, finite, strict=True)):
            host = kept.batch.to("cpu")
            tensors |= {f"{place}.{name}": tensor.contiguous() for name, tensor in host._asdict().items()}
            batches.append(
                {"batch": kept.number, "loss": float(kept.loss), "rows": self._rows(kept.number, host, finite_B)}
            )
        name = f"rank_{self._runtime.rank}"
        write_bytes(folder / f"{name}.safetensors", save(tensors))
        values = {"step": step, "what": what, "rank": self._runtime.rank, "seed": self._loader.seed, "batches": batches}
        write_text(folder / f"{name}.json", json.dumps(strict(values), indent=1, allow_nan=False) + "\n")

    def _rows(self, number: int, batch: Batch, finite_B: torch.Tensor) -> list[dict[str, Any]]:
        """Return what is known of each row; key and first frame only where the shard set can be read by position."""
        shard_set, starts, reader = self._loader.shard_set, None, None
        if isinstance(self._loader, TrainingLoader):
            starts, reader = self._loader.rows(number).starts_B.tolist(), ShardReader(shard_set)
        rows: list[dict[str, Any]] = []
        for row, sample in enumerate(batch.sample_B.tolist()):
            if sample < 0:
                continue
            rows.append(
                {
                    "row": row,
                    "sample": sample,
                    "key": None if reader is None else _key(reader, sample),
                    "speaker": shard_set.speakers[int(batch.speaker_B[row])],
                    "accent": shard_set.accents[int(batch.accent_B[row])],
                    "prompt": shard_set.prompts[int(batch.prompt_B[row])],
                    "first_frame": None if starts is None else starts[row],
                    "frames": int(batch.valid_BT[row].sum()),
                    "infinite_values": int(batch.frames_BTD[row].isinf().sum()),
                    "embedding_is_finite": bool(finite_B[row]),
                }
            )
        return rows


def _key(reader: ShardReader, sample: int) -> str:
    try:
        return str(reader.metadata(sample).get("key"))
    except AccentError as error:
        return f"unreadable: {error}"
