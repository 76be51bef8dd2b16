"""Phones without the text: those that the phone heads of a cross-validation hear, for the baselines on phone means.

The heads of a fold have heard its training speakers only, and each half of these speakers is decoded by the head that
the other half trained: no speaker is read by a head that knows the speaker.

Cost: a forward pass of the phone heads and forward-backward, about 40 ms a second of speech and core, in each fold.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from accent.errors import AccentError
from accent.inference.model_file import load_model
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.evaluation.baselines.phone_means import FramePhones
from launch.evaluation.fold_run import planned_runs
from launch.evaluation.folds import check_heads
from launch.evaluation.utterances import Utterances
from launch.extraction.speaker_statistics import voices_for
from launch.extraction.terminal import track_on_terminal
from launch.run_config import PHONES_FOLDER
from launch.training.initial import trained_halves
from shards.loading.loader import EvaluationLoader
from shards.splits.split import Split

PhonesOfFold = Callable[[Utterances, Split, int], FramePhones]
"""From (utterances, fold, number of the fold) to a function that tells the phone of every frame of an utterance."""


def phones_heard(crossval: Path) -> PhonesOfFold:
    """Return a source of phones for each fold of a cross-validation.

    Args:
        crossval: its folder; of several seeds the first is taken.

    Returns:
        A function that decodes all utterances of the fold's speakers when it is called.

    Raises:
        AccentError: the folder holds no cross-validation; later, heads that are missing, or that have heard a speaker
            whom the fold holds out.
    """
    runs = planned_runs(crossval)
    first = {run.fold: run for run in reversed(runs)}

    def of_fold(utterances: Utterances, split: Split, fold: int) -> FramePhones:
        if fold not in first:
            raise AccentError(f"{crossval}: has no fold {fold}; run accent crossval with these folds first")
        heads = first[fold].heads or first[fold].folder / PHONES_FOLDER
        check_heads(heads, split, fold)
        phone_of = decode(heads, utterances, split)
        return lambda number: phone_of[number]

    return of_fold


@torch.no_grad()
def decode(heads: Path, utterances: Utterances, split: Split) -> dict[int, np.ndarray]:
    """Return the likeliest phone of every frame, given the whole utterance.

    Args:
        heads: folder of the run that trained the heads.
        utterances: of the shard set that the heads were trained on.
        split: whose speakers to decode.

    Returns:
        int16 [T] by utterance number; numbers as in `PHONES`.

    Raises:
        AccentError: the run has no phone heads.
    """
    encoder, _ = load_model(heads)
    if not isinstance(encoder, PhoneticEncoder):
        raise AccentError(f"{heads}: its model has no phone heads; give a cross-validation of the branch phones")
    encoder.eval()
    shard_set = utterances.shard_set
    voices, half_S = voices_for(encoder, shard_set), trained_halves(heads, shard_set)
    loader = EvaluationLoader(shard_set, [*split.train, *split.validation, *split.test])
    found = {}
    for batch in track_on_terminal(loader, "decoding phones"):
        rows = batch.speaker_B
        _, phone_BTP = encoder.phones(
            batch.frames_BTD, batch.valid_BT, None if voices is None else voices.rows(rows), half_S[rows]
        )
        told_BT = phone_BTP.argmax(-1).to(torch.int16)
        for sample, told_T, valid_T in zip(batch.sample_B.tolist(), told_BT, batch.valid_BT, strict=True):
            if sample >= 0:
                found[sample] = told_T[valid_T].numpy()
    return found
