"""What the benchmarks of training say is true: bytes, operations, memory, parts of a step."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from accent.features.schema import N_COLUMNS
from accent.losses.contrastive import contrastive_loss
from accent.losses.pairs import LabelledEmbeddings, PairRule
from accent.losses.triplet import triplet_loss
from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.keyed_dropout import KeyedDropout
from launch.runtime.start import start_runtime
from launch.training import step_timer
from tests.benchmarks import step
from tests.benchmarks.dropout import set_dropout
from tests.benchmarks.scaling import Collective, loss_flops
from tests.benchmarks.soak.long_run import CHECKPOINTS, soak
from tests.benchmarks.step import Trial, attempt, attention_kernel, count_flops, kernel_launches
from tests.benchmarks.train import make_loader
from tests.support.device import forget_peak, out_of_memory, peak_bytes
from tests.support.training.small_runs import launch_several


def sent_on_a_ring(kind: str, processes: int, held_bytes: int) -> list[int]:
    """What each process sends if pieces are passed from neighbour to neighbour until all have what they should."""
    piece = held_bytes // processes
    sent = [0] * processes
    for _ in range(2 if kind == "all_reduce" else 1):
        # A piece starts at its own process and visits all others; summed on its way, or copied.
        for owner in range(processes):
            for hop in range(processes - 1):
                sent[(owner + hop) % processes] += piece
    return sent


@pytest.mark.parametrize("kind", ["all_gather", "reduce_scatter", "all_reduce"])
@pytest.mark.parametrize("processes", [2, 5, 8])
def test_the_bytes_of_a_collective_are_those_of_pieces_passed_around_a_ring(kind, processes):
    held = 1000 * processes
    assert sent_on_a_ring(kind, processes, held) == [Collective(kind, held).sent_bytes(processes)] * processes


@pytest.mark.slow
def test_a_step_of_two_processes_moves_the_bytes_of_the_formulas():
    job = launch_several([], program=("-m", "tests.benchmarks.scaling"))
    output, errors = job.communicate(timeout=120)
    rows = [[cell.strip() for cell in line.split("│")[1:5]] for line in output.splitlines() if line.startswith("│")]
    assert [name for name, *_ in rows] == ["all_gather", "all_reduce", "reduce_scatter"], errors
    for name, _, counted, formula in rows:
        assert counted == formula, name


@pytest.mark.parametrize(("rows", "keys", "embedding_dim"), [(12, 48, 64), (96, 9000, 192)])
def test_the_losses_over_pairs_need_the_operations_of_the_formula(rows, keys, embedding_dim):
    with FakeTensorMode():
        labels = torch.zeros(keys, dtype=torch.long)
        every = LabelledEmbeddings(
            torch.zeros(keys, embedding_dim, requires_grad=True), labels, labels, labels, labels, labels == 0
        )
        some = LabelledEmbeddings(*(part[:rows].detach().clone() for part in every))
        some.embedding_NE.requires_grad_()
        temperature = torch.tensor([0.1], requires_grad=True)
        with FlopCounterMode(display=False) as counter:
            contrastive = contrastive_loss(some, every, temperature, PairRule(), tile=4096).total
            (contrastive + triplet_loss(some, every, 0.3, PairRule(), tile=4096)[0].total).backward()
    assert counter.get_total_flops() == loss_flops(rows, keys, embedding_dim)


def test_the_encoders_operations_grow_with_the_rows():
    assert count_flops("tiny", 6, 60) == 3 * count_flops("tiny", 2, 60)


@pytest.mark.parametrize("kind", ["without", "keyed", "nn.Dropout"])
def test_steps_with_and_without_dropout_differ_by_their_layers_alone(kind):
    encoder = EnhancedAccentEncoder(ModelConfig.from_preset("tiny")).train()
    inputs = torch.randn(2, 40, N_COLUMNS), torch.ones(2, 40, dtype=torch.bool)
    expected = encoder.eval()(*inputs).embedding_BE
    keyed = sum(isinstance(layer, KeyedDropout) for layer in encoder.modules())
    set_dropout(encoder, kind)
    torch.testing.assert_close(encoder.eval()(*inputs).embedding_BE, expected)
    plain = sum(isinstance(layer, torch.nn.Dropout) for layer in encoder.modules())
    assert plain == (keyed if kind == "nn.Dropout" else 0)
    encoder.train()
    assert torch.allclose(encoder(*inputs).embedding_BE, expected, atol=1e-5) == (kind == "without")


def test_the_peak_of_memory_is_seen_and_forgotten():
    cpu, size = torch.device("cpu"), 300 << 20
    forget_peak(cpu)
    before = peak_bytes(cpu)
    torch.ones(size, dtype=torch.uint8)
    # Linux counts the pages of each processor in batches.
    assert abs(peak_bytes(cpu) - before - size) < 0.02 * size
    forget_peak(cpu)
    assert peak_bytes(cpu) - before < size / 2


def test_a_lack_of_memory_is_told_from_other_faults():
    with pytest.raises(RuntimeError) as lack:
        torch.empty(1 << 60)
    assert out_of_memory(lack.value)
    with pytest.raises(RuntimeError) as other:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert not out_of_memory(other.value)


def test_what_ran_is_read_off_the_calls_of_a_step():
    calls = {
        "aten::scaled_dot_product_attention": 6,
        "aten::_scaled_dot_product_efficient_attention": 6,
        "aten::_scaled_dot_product_efficient_attention_backward": 6,
        "cudaLaunchKernel": 1200,
        "cuLaunchKernelEx": 30,
        "cudaMemcpyAsync": 9,
    }
    assert attention_kernel(calls) == "efficient"
    assert attention_kernel({"aten::_scaled_dot_product_attention_math": 2, "aten::bmm": 4}) == "math"
    assert attention_kernel({"aten::bmm": 4}) == "matrices"
    assert kernel_launches(calls) == 1230


class CountedOperators(TorchDispatchMode):
    """A clock that every operator of torch moves on by one, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.called = 0

    def __torch_dispatch__(self, operator, _, arguments=(), options=None):
        self.called += 1
        return operator(*arguments, **(options or {}))

    def perf_counter(self) -> float:
        return float(self.called)


def test_the_parts_of_a_step_make_up_the_step(tmp_path, monkeypatch):
    runtime = start_runtime("cpu", mixed_precision="no")
    loader = make_loader(tmp_path, 12, runtime)
    with CountedOperators() as clock:
        for module in (step, step_timer):
            monkeypatch.setattr(module, "time", clock)
        cost = attempt(Trial("tiny", "no", False), loader, 2, 1, runtime)
    assert cost is not None
    assert set(cost.parts) == {"data_wait", "forward", "loss", "backward", "optimizer"}
    assert 0.8 * cost.step < sum(cost.parts.values()) <= cost.step
    assert cost.flops == count_flops("tiny", 12, 300)
    assert (cost.attention, cost.launches, cost.gradients, cost.left_out) == ("matrices", None, None, 0)


def test_a_soak_looks_at_the_process_after_the_steps_it_says(tmp_path):
    marks = soak(CHECKPOINTS, tmp_path)
    assert [mark.step for mark in marks] == [2, 10, 20, 40]
    assert all(mark.mib > 50 and mark.files > 3 and mark.step_ms > 0 for mark in marks)
    assert (tmp_path / "run" / "checkpoints").is_dir()
