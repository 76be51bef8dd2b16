"""Encoder and objective as training wraps them: in one pass, in chunks, compiled."""

import pytest
import torch

from accent import EnhancedAccentEncoder, ModelConfig
from accent.losses import AccentObjective, LossConfig
from launch.training.module import TrainingModule, TrainingOutput
from launch.training.tasks.row_keys import RowKeys
from launch.training.tasks.task import Position, unchanged
from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from shards.splits.split import make_split
from tests.support.training.small_runs import small_shards


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Twelve rows of forty frames."""
    shard_set = small_shards(tmp_path_factory.mktemp("shards"))
    loader = TrainingLoader(shard_set, make_split(shard_set), BatchConfig(utterances_per_speaker=2, crop_frames=40))
    return next(iter(loader)).to("cpu")


def make_module(dropout: float = 0.0, **options) -> TrainingModule:
    torch.manual_seed(0)
    sizes = ModelConfig(hidden=16, blocks=1, layers=1, heads=2, embedding_dim=8, dropout=dropout)
    encoder = EnhancedAccentEncoder(sizes)
    return TrainingModule(encoder, AccentObjective(LossConfig(), encoder.config.accent_scale), **options)


def one_pass(module: TrainingModule, batch: Batch) -> tuple[TrainingOutput, dict[str, torch.Tensor]]:
    output = module(batch)
    output.loss.backward()
    return output, {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}


def assert_the_same(batch: Batch, tolerance: float, dropout: float, **options) -> None:
    expected, expected_gradients = one_pass(make_module(dropout), batch)
    found, gradients = one_pass(make_module(dropout, **options), batch)
    assert torch.allclose(found.loss, expected.loss, rtol=tolerance)
    assert gradients.keys() == expected_gradients.keys()
    whole = torch.cat([gradient.flatten() for gradient in expected_gradients.values()]).norm()
    assert all((gradients[name] - expected_gradients[name]).norm() < tolerance * whole for name in gradients)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("chunk_rows", [1, 5, 12, 100])
def test_chunks_give_the_loss_and_the_gradients_of_the_whole_batch(batch, chunk_rows, dropout):
    assert_the_same(batch, 1e-5, dropout, chunk_rows=chunk_rows)


def test_each_batch_of_a_run_has_masks_of_its_own(batch):
    keys = RowKeys(seed=3)
    module, follow = make_module(0.2, keys=keys), keys.follow(unchanged)
    losses = [module(follow(batch, Position(number, 0.0))).loss.item() for number in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]
    assert make_module(0.2, keys=RowKeys(seed=4))(batch).loss.item() != losses[0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_invalid_rows_change_no_gradient_of_the_encoder_whatever_they_hold(batch, bad):
    filling = batch._replace(sample_B=batch.sample_B.clone(), frames_BTD=batch.frames_BTD.clone())
    filling.sample_B[8:] = -1
    filling.frames_BTD[8:] = 0.0
    _, expected = one_pass(make_module(), filling)
    filling.frames_BTD[8:] = bad
    _, found = one_pass(make_module(), filling)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-7)


def test_every_weight_has_one_name():
    names = list(make_module(compiled=True).state_dict())
    assert names == list(make_module().state_dict())
    assert {name.split(".")[0] for name in names} == {"encoder", "objective"}


def test_chunks_keep_the_activations_of_one_chunk_only(batch):
    def kept(module: TrainingModule) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            module(batch)
        return sum(sizes.values())

    assert kept(make_module(chunk_rows=2)) < 0.2 * kept(make_module())


@pytest.mark.slow
@pytest.mark.parametrize(("chunk_rows", "dropout"), [(None, 0.0), (5, 0.2)])
def test_a_compiled_encoder_gives_the_same_loss_and_gradients(batch, chunk_rows, dropout):
    assert_the_same(batch, 1e-4, dropout, compiled=True, chunk_rows=chunk_rows)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_computes_the_losses_and_gradients_in_float32(batch, precision):
    exact, _ = one_pass(make_module(), batch)
    output, gradients = one_pass(make_module(precision=precision), batch)
    assert output.loss.dtype == torch.float32
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())
    assert output.loss.item() == pytest.approx(exact.loss.item(), rel=0.03)
    assert output.loss != exact.loss
