"""A row that only fills a batch changes no gradient, whatever it holds: in every task, and through perturbation."""

from collections.abc import Callable

import pytest
import torch

from accent.augmentation import AugmentationConfig, augment
from accent.model.build import build_encoder
from accent.model.config import ModelConfig
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.extraction.speaker_statistics import set_normalisation
from launch.run_config import PretrainingConfig, TrainingConfig
from launch.runtime.start import start_runtime
from launch.training.tasks.accent_task import accent_task
from launch.training.tasks.phone_task import find_units, phone_task, read_alignments
from launch.training.tasks.reconstruction_task import reconstruction_task
from launch.training.tasks.task import Position, Task
from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from shards.shard_set.manifest import ShardSet
from tests.support.training.small_runs import small_shards

BAD = (torch.nan, torch.inf)
FRAMES = ModelConfig(hidden=16, blocks=1, layers=1, heads=2, embedding_dim=8, dropout=0.2)
TRAINING = TrainingConfig(augmentation=AugmentationConfig(vocal_tract=0.1, gain_db=6.0, time_masks=1))


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> TrainingLoader:
    shards = small_shards(tmp_path_factory.mktemp("filled"), phones=True, phone_frames=6, lengths=(50, 80)).root
    config = BatchConfig(speakers_per_accent=2, utterances_per_speaker=2, crop_frames=80)
    return TrainingLoader(ShardSet.open(shards), config=config)


def frames_of(mode: str) -> Callable[[TrainingLoader], Task]:
    def make(loader: TrainingLoader) -> Task:
        encoder = build_encoder(
            ModelConfig(**{**vars(FRAMES), "normalisation": mode, "accents": tuple(loader.accents)})
        )
        set_normalisation(encoder, loader)
        return accent_task(encoder, loader, TRAINING, start_runtime("cpu", "no"))

    return make


def pretraining(loader: TrainingLoader) -> Task:
    encoder = build_encoder(FRAMES)
    set_normalisation(encoder, loader)
    return reconstruction_task(encoder, loader, TRAINING, PretrainingConfig(), start_runtime("cpu", "no"))


def phonetic_encoder(loader: TrainingLoader) -> PhoneticEncoder:
    encoder = PhoneticEncoder(
        ModelConfig.from_preset(
            "phonetic", phone_channels=8, directions=8, embedding_dim=8, dropout=0.2, accents=tuple(loader.accents),
            units=find_units(read_alignments(loader)),
        )
    )  # fmt: skip
    set_normalisation(encoder, loader)
    return encoder


def phones(loader: TrainingLoader) -> Task:
    return phone_task(phonetic_encoder(loader), loader, read_alignments(loader), TRAINING, start_runtime("cpu", "no"))


def map_of_phones(loader: TrainingLoader) -> Task:
    return accent_task(phonetic_encoder(loader), loader, TRAINING, start_runtime("cpu", "no"))


def gradients(task: Task, batch: Batch) -> dict[str, torch.Tensor]:
    task.module.zero_grad()
    task.module.train()
    task.module(task.prepare(batch, Position(3, 0.5))).loss.backward()
    return {name: one.grad.clone() for name, one in task.module.named_parameters() if one.grad is not None}


MAKERS = [frames_of("corpus"), frames_of("speaker"), frames_of("utterance"), pretraining, phones, map_of_phones]
NAMES = ["frames", "by speaker", "by utterance", "pretraining", "phone heads", "map of phones"]


@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
@pytest.mark.parametrize("rows", [(0,), (5, 11)], ids=str)
def test_no_gradient_depends_on_what_a_row_without_a_sample_holds(loader, make, rows):
    torch.manual_seed(0)
    task = make(loader)
    batch = next(loader.steps(0, 1)).to("cpu")
    for row in rows:
        batch.sample_B[row], batch.frames_BTD[row] = -1, 0.0
        batch.valid_BT[row] = torch.arange(batch.valid_BT.shape[1]) == 0
    expected = gradients(task, batch)
    assert all(gradient.isfinite().all() for gradient in expected.values())
    assert any((gradient != 0).any() for gradient in expected.values())
    for bad in BAD:
        batch.frames_BTD[list(rows)] = bad
        found = gradients(task, batch)
        assert found.keys() == expected.keys()
        for name, gradient in found.items():
            assert torch.equal(gradient, expected[name]), (name, bad)


def test_perturbation_leaves_nan_in_its_row(loader):
    batch = next(loader.steps(0, 1)).to("cpu")
    config = AugmentationConfig(
        probability=1.0, tempo=0.1, speed=0.1, vocal_tract=0.1, equaliser_db=3.0, gain_db=6.0, noise_snr_db=10.0,
        time_masks=2, frequency_masks=2,
    )  # fmt: skip
    clean = augment(config, *batch[:3], step=1, first_row=0, seed=2)
    batch.frames_BTD[5] = torch.nan
    made = augment(config, *batch[:3], step=1, first_row=0, seed=2)
    others = [row for row in range(len(batch.sample_B)) if row != 5]
    for one, other in zip(clean, made, strict=True):
        torch.testing.assert_close(one[others], other[others], rtol=0, atol=0, equal_nan=True)
