"""How good is the encoder on speakers it does not train on?  Measured while training, over all processes.

The selection metric is the accent head's balanced accuracy (the mean over accents of the share of utterances told
right).  MAP@R with same-speaker matches left out would say more about the embedding, but with one validation speaker
an accent it is not defined; where it is, it is reported beside.  Cost: one forward pass over the validation utterances.

Shape legend: N validation utterances, B rows of a batch, E embedding, A accents.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from accent.errors import AccentError
from accent.metrics import map_at_r
from accent.metrics.classification import confusion_by_speaker, scores_of_confusion
from accent.model.build import AccentEncoder
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.extraction.extract import Extraction, encode
from launch.extraction.speaker_statistics import voices_for
from launch.runtime.agreement import AllRanksError, Runtime, raise_on_all_ranks
from shards.loading.batch import Batch
from shards.loading.protocol import EvaluationBatches

SELECTION = "balanced_accuracy"
"""The metric that chooses the best model; higher is better."""


@dataclass(frozen=True, eq=False)
class ValidationUtterances:
    """What the encoder makes of each validation utterance."""

    extraction: Extraction
    length_N: np.ndarray
    """Euclidean length of each embedding before it is brought to 1."""
    accents: list[str]
    """Names of the accent head's labels."""
    confusion_AA: np.ndarray
    """Utterances by true accent (rows) and accent told, of those whose accent the head knows."""


class Validation(NamedTuple):
    """What a validation came to."""

    metrics: dict[str, float]
    """The same on every process."""
    utterances: ValidationUtterances | None = None
    """On the first process, where a task embeds utterances; None elsewhere."""


class StoppedWhileValidating(Exception):  # noqa: N818 (no error: a wish)
    """A signal came to some process; raised on all of them at the same batch."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        """The signal."""


def validate(
    encoder: AccentEncoder,
    loader: EvaluationBatches,
    accents: list[str],
    runtime: Runtime,
    signal_number: Callable[[], int] = lambda: 0,
) -> Validation:
    """Return the metrics of an encoder on a loader's speakers; every process calls this and gets the same numbers.

    Args:
        encoder: the bare encoder (unwrapped); its mode, training or not, is as before afterwards.
        loader: whole utterances; this process's share.
        accents: names of the accent head's labels.
        runtime: the processes.
        signal_number: tells a signal that this process has received, 0 for none.

    Returns:
        `balanced_accuracy`, `accuracy`, `macro_f1` and `cross_entropy` of the accent head over utterances whose accent
        the head knows; `map_at_r` of the embeddings where an accent has two speakers; `spread`, the embeddings' mean
        squared distance from their mean (near 0: they have collapsed into one point).

    Raises:
        AllRanksError: the loader has no utterance, or none of an accent that the head knows.
        StoppedWhileValidating: a signal came.
    """
    extraction, length_N = extract_on_all_ranks(encoder, loader, runtime, signal_number)
    if len(extraction.sample_N) == 0:
        raise AllRanksError("no validation utterance: give split.validation a speaker of each accent")
    found, utterances = [dict[str, float]()], None
    if runtime.is_main:
        position = {name: number for number, name in enumerate(accents)}
        label_N = np.array([position.get(name, -1) for name in loader.accents])[extraction.accent_N]
        found = [measure(extraction, label_N)]
        utterances = ValidationUtterances(extraction, length_N, accents, confusion(extraction, label_N))
    if runtime.world_size > 1:
        broadcast_object_list(found)
    if SELECTION not in found[0]:
        raise AllRanksError(f"no validation speaker has one of the accents trained on ({', '.join(accents)})")
    return Validation(found[0], utterances)


def extract_on_all_ranks(
    encoder: AccentEncoder, loader: EvaluationBatches, runtime: Runtime, signal_number: Callable[[], int]
) -> tuple[Extraction, np.ndarray]:
    """Embed a loader's utterances on all processes and gather them, in sample order, each exactly once.

    Returns:
        What the encoder makes of them, and the length of each embedding before it is brought to 1, `[N]`.

    Raises:
        AllRanksError: the loader has no batch, or a sample cannot be read.
        StoppedWhileValidating: a signal came.
    """
    with raise_on_all_ranks(runtime):
        voices = voices_for(encoder, loader.shard_set, runtime.device)
    batches = agreed_batches(loader, runtime, signal_number)
    lengths: list[Tensor] = []
    hook = _last_map(encoder).register_forward_hook(
        lambda _module, _given, mapped_BE: lengths.append(mapped_BE.detach().float().norm(dim=1))
    )
    try:
        parts = list(encode(encoder, batches, runtime.device, voices, runtime.precision))
    finally:
        hook.remove()
    if not parts:
        raise AllRanksError("no validation utterance: give split.validation a speaker of each accent")
    # Every process has equally many batches and rows, so these tensors are of one shape.
    columns = [runtime.accelerator.gather(torch.cat(column)).cpu().numpy() for column in zip(*parts, strict=True)]
    length_N = runtime.accelerator.gather(torch.cat(lengths)).cpu().numpy()
    sample_N = columns[-1]
    extraction = Extraction.in_sample_order(columns)
    length_N = length_N[np.argsort(sample_N, kind="stable")][np.count_nonzero(sample_N < 0) :]
    if (np.diff(extraction.sample_N) == 0).any():
        raise RuntimeError("the loader yields a validation utterance twice")
    return extraction, length_N


def _last_map(encoder: AccentEncoder) -> nn.Module:
    """Return the linear map whose results are brought to unit length."""
    return encoder.embedding.map if isinstance(encoder, PhoneticEncoder) else encoder.embedding.linear


def agreed_batches(loader: EvaluationBatches, runtime: Runtime, signal_number: Callable[[], int]) -> Iterator[Batch]:
    """Yield a loader's batches; a signal or a fault of one process ends the iteration on all of them together."""
    batches, fault = iter(loader), None
    while True:
        try:
            batch = next(batches, None)
        except AccentError as error:
            batch, fault = None, error
        # Every process has equally many batches, so all come to the end, or to a fault of one of them, together.
        stop, faulty = runtime.all_reduce_max(signal_number(), float(fault is not None))
        if stop:
            raise StoppedWhileValidating(int(stop))
        if faulty or batch is None:
            break
        yield batch
    with raise_on_all_ranks(runtime):
        if fault is not None:
            raise fault


def confusion(extraction: Extraction, label_N: np.ndarray) -> np.ndarray:
    """Return how often each accent of the head was told for each, `[A, A]`; rows are the true ones.

    Args:
        extraction: logits of the utterances.
        label_N: label of each in the accent head; -1 for an accent that it does not know.
    """
    known = label_N >= 0
    told, speaker = extraction.logits_NA[known].argmax(1), extraction.speaker_N[known]
    return confusion_by_speaker(label_N[known], told, speaker, extraction.logits_NA.shape[1]).sum(0)


def measure(extraction: Extraction, label_N: np.ndarray) -> dict[str, float]:
    """Return the metrics of `validate` from embeddings, logits and labels.

    Args:
        extraction: embeddings, logits and labels of the utterances.
        label_N: label of each in the accent head; -1 for an accent that it does not know.
    """
    known = label_N >= 0
    metrics: dict[str, float] = {}
    if known.any():
        logits, label = extraction.logits_NA[known].astype(np.float64), label_N[known]
        scores = scores_of_confusion(confusion(extraction, label_N))
        metrics.update({name: float(scores[name]) for name in (SELECTION, "accuracy", "macro_f1")})
        logits -= logits.max(1, keepdims=True)
        picked = logits[np.arange(len(label)), label] - np.log(np.exp(logits).sum(1))
        metrics["cross_entropy"] = float(-picked.mean())
    retrieval = map_at_r(extraction.embedding_NE, extraction.accent_N, extraction.speaker_N)
    if retrieval.value is not None:
        metrics["map_at_r"] = retrieval.value
    centred = extraction.embedding_NE - extraction.embedding_NE.mean(0)
    metrics["spread"] = float(np.square(centred).sum(1).mean())
    return metrics
