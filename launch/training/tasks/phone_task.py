"""The task of telling phones apart: two heads, each trained on half of the training speakers.

No accent label is used, so any aligned speech will do.  Labels are the states of the alignment; those of a crop's first
and last phone are left out, for the crop hides where they begin or end.

Cost: about 0.2 s a step of 32 rows of 200 frames on one core in bfloat16.

Shapes: B rows of this process, T frames, S speakers of the shard set, U units.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from torchaudio.functional import edit_distance

from accent.errors import AccentError
from accent.losses.pairs import RowLoss
from accent.losses.phones.ctc import phone_ctc
from accent.losses.phones.objective import PhoneObjective
from accent.model.keyed_dropout import keyed_rows
from accent.model.normalisation import Normalisation, VoiceStatistics
from accent.model.phonetic.chain import measure_chain
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.inventory import SILENCE_NUMBER, STATES_PER_UNIT, Inventory, build_inventory, segments
from accent.model.phonetic.phone_head import PhoneLogits
from accent.model.phonetic.recogniser import BOTH, HALVES, PhoneRecogniser
from launch.extraction.speaker_statistics import voices_for
from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.runtime.precision import Precision, autocast
from launch.training.module import TrainingOutput
from launch.training.prepare_batch import perturb
from launch.training.step_timer import StepTimer
from launch.training.tasks.row_keys import RowKeys
from launch.training.tasks.task import Task
from launch.training.tasks.transcripts import Transcript, read_transcripts, whole_rows
from launch.training.validation import Validation, agreed_batches
from shards.loading.batch import Batch
from shards.loading.loader import TrainingLoader
from shards.loading.protocol import EvaluationBatches, TrainingBatches
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader

SELECTION = "frame_accuracy"
"""The metric that chooses the best heads; higher is better."""
MOST_ALIGNMENTS = 20_000
"""Utterances whose alignments are read for the units and the chain."""


def local_only(train_loader: TrainingBatches) -> TrainingLoader:
    """Return the loader, if it reads a local folder.

    Raises:
        AccentError: it streams.
    """
    if not isinstance(train_loader, TrainingLoader):
        raise AccentError("model.branch=phones reads its training speakers first: give a shard set in a local folder")
    return train_loader


def read_alignments(train_loader: TrainingLoader) -> list[tuple[int, np.ndarray]]:
    """Return speaker and phones [T] of training utterances, at most `MOST_ALIGNMENTS` of them, spread evenly.

    Raises:
        AccentError: none of them has an alignment.
    """
    shard_set = train_loader.shard_set
    positions = shard_set.speaker_positions(train_loader.speakers)
    number_N = np.flatnonzero(np.isin(shard_set.index["speaker"], positions))
    number_N = number_N[:: max(1, len(number_N) // MOST_ALIGNMENTS)]
    reader = ShardReader(shard_set)
    found = []
    for number in number_N.tolist():
        phones_T = reader.phones(number)
        if phones_T is not None and (phones_T > SILENCE_NUMBER).any():
            found.append((int(shard_set.index["speaker"][number]), phones_T))
    if not found:
        raise AccentError(
            f"{shard_set.place}: no training utterance has an alignment, and phones are learned from alignments; make "
            "TextGrids (accent align CORPUS OUT) and featurize again, or start from trained phone heads: init=RUN"
        )
    return found


def find_units(alignments: Sequence[tuple[int, np.ndarray]]) -> tuple[str, ...]:
    """Return the names of the units that the training speakers say."""
    return build_inventory(alignments).names


def deal_halves(shard_set: ShardSet, speakers: Sequence[str]) -> Tensor:
    """Deal training speakers to the heads, accent by accent, in the order of their names.

    Args:
        shard_set: knows every speaker's accent.
        speakers: names of those who train the heads; others are `BOTH`.

    Returns:
        int64 [S].
    """
    half_S = torch.full((len(shard_set.speakers),), BOTH)
    accents = {entry.name: entry.accent for entry in shard_set.manifest.speakers}
    positions = {name: place for place, name in enumerate(shard_set.speakers)}
    known = sorted((accents[name], name) for name in speakers if name in positions)
    for turn, (_, name) in enumerate(known):
        half_S[positions[name]] = turn % HALVES
    return half_S


class PhoneTrainingModule(nn.Module):
    """Both heads and their objective.

    Args:
        recogniser: trained.
        normalisation: of the encoder; no part of what is trained.
        voices: every speaker's voice, on the batches' device.
        half_S: which half each speaker is of; each head sees only the rows of its own half.
        precision: arithmetic of the heads.
        clock: told of the parts `forward` and `loss`.
        keys: of the rows, for dropout and what the heads do not see of their input.
        ctc: weight of the CTC loss.
        transcripts: of utterances without an alignment, by sample number; None leaves them out.
    """

    def __init__(
        self,
        recogniser: PhoneRecogniser,
        normalisation: Normalisation,
        voices: VoiceStatistics | None,
        half_S: Tensor,
        precision: Precision,
        clock: StepTimer,
        keys: RowKeys,
        ctc: float = 0.0,
        transcripts: dict[int, Transcript] | None = None,
    ) -> None:
        super().__init__()
        self.recogniser, self.objective = recogniser, PhoneObjective(ctc)
        self._transcripts, self._keys = transcripts, keys
        self.precision, self.clock = precision, clock
        # In a tuple, so that they are no part of the module: nothing of them is trained or saved here.
        self._still = (normalisation, voices, half_S)

    def forward(self, batch: Batch) -> TrainingOutput:
        """Compute the loss of a batch; a collective, called by every process with equally many rows."""
        normalisation, voices, half_S = self._still
        with self.clock.part("forward"):
            with torch.no_grad():
                of_rows = None if voices is None else voices.rows(batch.speaker_B)
                values_BTD, _ = normalisation(batch.frames_BTD, batch.valid_BT, of_rows)
            state_BT = crop_states(self.recogniser.inventory, batch)
            half_B = torch.where(batch.row_valid_B, half_S[batch.speaker_B], BOTH)
            labels_of = None if self._transcripts is None else whole_rows(self._transcripts, batch)
            keys_B = self._keys.of(batch)
            by_head, ctc_by_head = [], []
            with autocast(self.precision, batch.frames_BTD.device):
                for half in range(HALVES):
                    own = (half_B == half).nonzero().squeeze(1)
                    # A head without a row still runs, on one without labels: all weights get their gradient.
                    rows = own if len(own) else own.new_zeros(1)
                    with keyed_rows(self.recogniser, keys_B[rows]):
                        logits = self.recogniser.logits(half, values_BTD[rows], batch.valid_BT[rows])
                    by_head.append((logits, state_BT[rows] if len(own) else torch.full_like(state_BT[rows], -1)))
                    if labels_of is not None:
                        ctc_by_head.append(self._ctc(logits, own.tolist(), labels_of, batch.valid_BT.sum(1)))
        with self.clock.part("loss"):
            phone_U = self.recogniser.phone_S[::STATES_PER_UNIT]
            loss, losses = self.objective(by_head, phone_U, None if labels_of is None else ctc_by_head)
        return TrainingOutput(loss, losses, torch.zeros(0))

    def _ctc(self, logits: PhoneLogits, own: list[int], labels_of: dict[int, Tensor], frames_B: Tensor) -> RowLoss:
        """Return the CTC loss of a head over those of its rows that have labels; its logits are of its rows."""
        places = [place for place, row in enumerate(own) if row in labels_of]
        labels = [labels_of[own[place]].to(frames_B.device) for place in places]
        picked = PhoneLogits(*(part[places] for part in logits))
        frames_b = frames_B[[own[place] for place in places]]
        prior_P = self.recogniser.by_phone(self.recogniser.prior_S)
        return phone_ctc(picked, frames_b, labels, self.recogniser.phone_S[::STATES_PER_UNIT], prior_P)


def phone_task(
    encoder: PhoneticEncoder,
    train_loader: TrainingLoader,
    alignments: Sequence[tuple[int, np.ndarray]],
    training: TrainingConfig,
    runtime: Runtime,
) -> Task:
    """Return the task.

    Args:
        encoder: its units are those of the alignments, its normalisation is set.
        train_loader: the training batches.
        alignments: of the training utterances, for the chain.
        training: seed, perturbations of the crops, weight of CTC.
        runtime: the processes.
    """
    clock = StepTimer(runtime.device)
    encoder.to(runtime.device)
    encoder.recogniser.set_chain(measure_chain([phones_T for _, phones_T in alignments], encoder.recogniser.inventory))
    shard_set = train_loader.shard_set
    half_S = deal_halves(shard_set, train_loader.speakers).to(runtime.device)
    voices = voices_for(encoder, shard_set, runtime.device)
    weight, keys = training.losses.ctc, RowKeys(training.seed, runtime.rank)
    transcripts = read_transcripts(train_loader, encoder.recogniser.inventory) if weight else None
    module = PhoneTrainingModule(
        encoder.recogniser,
        encoder.normalisation,
        voices,
        half_S,
        runtime.precision,
        clock,
        keys,
        weight,
        None if transcripts is None else transcripts.by_sample,
    )

    def measure(loader: EvaluationBatches, processes: Runtime, signal_number: Callable[[], int]) -> Validation:
        return Validation(validate_phones(encoder, loader, processes, signal_number))

    notes = [] if transcripts is None else [transcripts.note]
    prepare = keys.follow(perturb(training, runtime, clock))
    return Task(encoder, module, measure, SELECTION, (), clock, prepare, notes)


def crop_states(inventory: Inventory, batch: Batch) -> Tensor:
    """Return the state of each frame of each row, `[B, T]`; -1 in padding, without label, and in each crop's edges."""
    phones_BT, frames_B = batch.phones_BT.cpu().numpy(), batch.valid_BT.sum(1).tolist()
    state_BT = np.full(phones_BT.shape, -1, np.int64)
    for row, frames in enumerate(frames_B):
        phones_T = phones_BT[row, :frames]
        if (phones_T > SILENCE_NUMBER).any():
            found = segments(phones_T)
            first, last = int(found.length_P[0]), frames - int(found.length_P[-1])
            state_BT[row, first:last] = inventory.states(phones_T)[first:last]
    return torch.from_numpy(state_BT).to(batch.phones_BT.device)


@torch.no_grad()
def validate_phones(
    encoder: PhoneticEncoder, loader: EvaluationBatches, runtime: Runtime, signal_number: Callable[[], int]
) -> dict[str, float]:
    """Return how well phones of speakers who train neither head are told; the same on every process.

    Args:
        encoder: its mode is as before afterwards.
        loader: whole utterances; this process's share.
        runtime: the processes.
        signal_number: tells a signal that this process has received, 0 for none.

    Returns:
        `frame_accuracy`, the share of the aligned frames whose phone is right by the frame itself;
        `smooth_frame_accuracy`, given the whole utterance; `phone_error_rate`, edits for each phone of the alignment
        but silence.
    """
    voices = voices_for(encoder, loader.shard_set, runtime.device)
    was_training = encoder.training
    encoder.eval()
    counts = np.zeros(5)
    for batch in agreed_batches(loader, runtime, signal_number):
        batch = batch.to(runtime.device)
        values_BTD, _ = encoder.normalisation(
            batch.frames_BTD, batch.valid_BT, None if voices is None else voices.rows(batch.speaker_B)
        )
        posterior_BTS = encoder.recogniser.posteriors(values_BTD, batch.valid_BT)
        occupancy_BTS, _ = encoder.recogniser.smooth(posterior_BTS, batch.valid_BT)
        said = [encoder.recogniser.by_phone(part).argmax(-1).cpu().numpy() for part in (posterior_BTS, occupancy_BTS)]
        for row in batch.row_valid_B.nonzero().squeeze(1).tolist():
            counts += _score(batch, row, *(phones_BT[row] for phones_BT in said))
    encoder.train(was_training)
    total = counts if runtime.world_size == 1 else np.sum(gather_object([counts]), axis=0)
    frames, right, smooth_right, phones, edits = total
    return {
        "frame_accuracy": float(right / max(frames, 1)),
        "smooth_frame_accuracy": float(smooth_right / max(frames, 1)),
        "phone_error_rate": float(edits / max(phones, 1)),
    }


def _score(batch: Batch, row: int, by_frame_T: np.ndarray, smooth_T: np.ndarray) -> np.ndarray:
    """Return aligned frames, those right, those right when smoothed, phones, and edits of one utterance."""
    phones_T = batch.phones_BT[row].cpu().numpy()[: int(batch.valid_BT[row].sum())]
    if not (phones_T > SILENCE_NUMBER).any():
        return np.zeros(5)
    aligned_T = phones_T >= 0
    true, said = (
        [phone for phone in segments(part).phone_P.tolist() if phone != SILENCE_NUMBER]
        for part in (phones_T, smooth_T[: len(phones_T)])
    )
    return np.array(
        [
            aligned_T.sum(),
            (by_frame_T[: len(phones_T)] == phones_T)[aligned_T].sum(),
            (smooth_T[: len(phones_T)] == phones_T)[aligned_T].sum(),
            len(true),
            edit_distance(true, said),
        ]
    )
