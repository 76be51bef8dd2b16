"""Ranks against one process: real processes over gloo, every variant of the losses, in float64 and float32.

Each world size is started once and works through everything; the oracle is this process on the whole batch.
Shapes: B rows of a rank, N rows of all ranks.
"""

import functools
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from accent.features.schema import N_COLUMNS
from accent.losses import AccentObjective, LossConfig, RowOutputs, gather, join_rows, row_outputs
from accent.losses.gather import all_gather, all_gather_with_gradient, all_reduce_sum, rank, world_size
from accent.losses.speaker_adversary import AdversaryLoss
from accent.model import EnhancedAccentEncoder, ModelConfig
from tests.support.training.ranks import forkserver

ROWS, FRAMES = 8, 14
SECONDS = 120
"""After which processes that hang are ended."""

# Per scenario: accents, speakers, valid rows.  Rows 4 to 7 are rank 1 of two, ranks 2 and 3 of four.
SCENARIOS: dict[str, tuple[list[int], list[int], list[int]]] = {
    "ordinary": ([0, 0, 1, 1, 0, 1, 1, 0], [0, 1, 2, 3, 1, 3, 2, 4], [1] * 8),
    "an accent seen once": ([0, 0, 1, 1, 2, 1, 1, 0], [0, 1, 2, 3, 5, 3, 2, 4], [1] * 8),
    "a rank without a valid row": ([0, 0, 1, 1, 0, 0, 0, 0], [0, 1, 2, 3, 0, 0, 0, 0], [1] * 4 + [0] * 4),
    "uneven valid rows": ([0, 0, 1, 1, 0, 1, 1, 0], [0, 1, 2, 3, 1, 3, 2, 4], [1, 0, 1, 1, 1, 1, 0, 0]),
    "a rank without a triplet": ([0, 0, 0, 1, 2, 2, 2, 2], [0, 1, 4, 3, 5, 5, 5, 5], [1] * 8),
    "one accent only": ([0] * 8, [0, 1, 2, 3, 0, 1, 2, 3], [1] * 8),
    "no valid row anywhere": ([0] * 8, [0] * 8, [0] * 8),
}
TRAINING_SPEAKERS = {0: 0, 1: 0, 2: 1, 3: 1, 5: 2}
"""Accent of each; speaker 4 does not train, and the third accent has one speaker."""
PROMPTS = [0, 0, 1, 1, 0, 1, 0, 1]

# A tile of 8 is all keys at once, one of 1 is one anchor at a time on any number of ranks.
VARIANTS: dict[str, LossConfig] = {
    "batch-hard, softmax": LossConfig(label_smoothing=0.1),
    "batch-hard, softmax, one anchor at a time": LossConfig(label_smoothing=0.1, tile=1),
    "semi-hard, aam, same prompt": LossConfig(
        mining="semi_hard", head="aam", same_prompt=True, positives="any", label_smoothing=0.1, tile=8
    ),
    "semi-hard, circle, two or more anchors at a time": LossConfig(mining="semi_hard", head="circle", tile=4),
    "batch-hard, circle, same prompt, a fixed temperature": LossConfig(
        head="circle", same_prompt=True, learn_temperature=False, tile=3
    ),
    "batch-hard, softmax, a speaker head": LossConfig(adversary=0.7),
}
PLAIN = "batch-hard, softmax"
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


class Trained(nn.Module):
    """Encoder and objective as one module, the way training wraps them.

    Args:
        variant: of the losses.
        dtype: of parameters and arithmetic.
        chunk: rows encoded at a time, each chunk again in backward; None encodes all at once and keeps all.
    """

    def __init__(self, variant: str, dtype: torch.dtype = torch.float64, chunk: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        config = ModelConfig(
            hidden=8, blocks=1, layers=1, heads=2, embedding_dim=6, accents=("a", "b", "c"), dropout=0.0
        )
        self.encoder = EnhancedAccentEncoder(config)
        adversary = None
        if VARIANTS[variant].adversary:
            adversary = AdversaryLoss(config.embedding_dim, TRAINING_SPEAKERS, VARIANTS[variant].adversary)
            adversary.progress = 0.3
        self.objective = AccentObjective(VARIANTS[variant], config.accent_scale, adversary)
        self.chunk = chunk
        self.to(dtype)

    def forward(
        self,
        frames_BTD: Tensor,
        valid_BT: Tensor,
        accent_B: Tensor,
        speaker_B: Tensor,
        prompt_B: Tensor,
        row_valid_B: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        given = (frames_BTD, valid_BT, row_valid_B)
        if self.chunk is None:
            rows = self._encode(*given)
        else:
            chunks = zip(*(part.split(self.chunk) for part in given), strict=True)
            rows = join_rows([checkpoint(self._encode, *chunk, use_reentrant=False) for chunk in chunks])
        return self.objective(rows, accent_B, speaker_B, prompt_B, row_valid_B)

    def _encode(self, frames_BTD: Tensor, valid_BT: Tensor, row_valid_B: Tensor) -> RowOutputs:
        return row_outputs(self.encoder(frames_BTD, valid_BT), row_valid_B)


def _batch(scenario: str, own: slice, dtype: torch.dtype) -> list[Tensor]:
    """This rank's rows of the global batch of a scenario."""
    accents, speakers, valid = (torch.tensor(part) for part in SCENARIOS[scenario])
    generator = torch.Generator().manual_seed(1)
    frames_BTD = torch.randn(ROWS, FRAMES, N_COLUMNS, generator=generator, dtype=torch.float64)
    frames_BTD[torch.rand(frames_BTD.shape, generator=generator) < 0.2] = torch.nan
    valid_BT = torch.arange(FRAMES) < torch.randint(5, FRAMES + 1, (ROWS, 1), generator=generator)
    # As batches come: a row that only fills has one frame marked as real, so that nothing divides by zero.
    valid_BT[valid == 0] = torch.arange(FRAMES) == 0
    parts = (frames_BTD.to(dtype), valid_BT, accents, speakers, torch.tensor(PROMPTS), valid.bool())
    return [part[own] for part in parts]


def _gradients(module: nn.Module) -> dict[str, Tensor | None]:
    return {name.removeprefix("module."): parameter.grad for name, parameter in module.named_parameters()}


def _one_step(module: nn.Module, scenario: str, own: slice, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    module.zero_grad()
    total, report = module(*_batch(scenario, own, dtype))
    total.backward()
    return {"total": total.detach(), "report": report, "gradients": _gradients(module)}


def _work(process: int, world: int, folder: str) -> None:
    """One rank: every variant in every scenario, its gradients averaged over ranks; results go to a file."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", f"file://{folder}/rendezvous", timedelta(seconds=60), world_size=world, rank=process
    )
    own = slice(process * ROWS // world, (process + 1) * ROWS // world)
    results: dict[Any, Any] = {"ranks": (rank(), world_size())}

    def averaged(variant: str, scenario: str, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
        step = _one_step(Trained(variant, dtype), scenario, own, dtype)
        # In one message: four ranks on two cores wait long for each.
        joined = torch.cat([gradient.flatten() for gradient in step["gradients"].values()])
        dist.all_reduce(joined)
        sizes = [gradient.numel() for gradient in step["gradients"].values()]
        for gradient, mean in zip(step["gradients"].values(), (joined / world).split(sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))
        return step

    for case in itertools.product(VARIANTS, SCENARIOS, TOLERANCE):
        results[case] = averaged(*case)

    for variant in VARIANTS:
        chunked = nn.parallel.DistributedDataParallel(Trained(variant, chunk=ROWS // world // 2))
        results["chunked", variant] = _one_step(chunked, "ordinary", own)
    results["data-parallel"] = _one_step(nn.parallel.DistributedDataParallel(Trained(PLAIN)), "ordinary", own)

    has_reduce_scatter = gather._has_reduce_scatter
    gather._has_reduce_scatter = lambda device: False
    results["without reduce-scatter"] = averaged(PLAIN, "ordinary")
    gather._has_reduce_scatter = has_reduce_scatter
    results["gloo has reduce-scatter"] = has_reduce_scatter(torch.device("cpu"))

    # Row r of rank p is (10 p + r) in both columns.  The loss of rank p weighs gathered row i by (p + 1) i.
    rows_B2 = (10.0 * process + torch.arange(3.0))[:, None].repeat(1, 2).requires_grad_()
    gathered_N2 = all_gather_with_gradient(rows_B2)
    weight_N = (process + 1) * torch.arange(3.0 * world)
    (gathered_N2 * weight_N[:, None]).sum().backward()
    results["gathered"] = gathered_N2.detach()
    results["gathered gradient"] = rows_B2.grad
    results["labels"] = all_gather(torch.arange(2) + 2 * process)
    kept = torch.tensor([1.0, process])
    results["sum"], results["kept"] = all_reduce_sum(kept), kept

    torch.save(results, f"{folder}/rank{process}.pt")
    dist.barrier()
    dist.destroy_process_group()


@contextmanager
def _time_limit(context: Any, seconds: float) -> Iterator[None]:
    try:
        yield
        end = time.monotonic() + seconds
        while not context.join(timeout=1):
            assert time.monotonic() < end, f"ranks still running after {seconds} s"
    finally:
        for process in context.processes:
            if process.is_alive():
                process.kill()


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow), 4])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    """What every rank of a world of 1, 2 or 4 found."""
    folder: Path = tmp_path_factory.mktemp(f"world{request.param}")
    # The server has imported torch once for all ranks, which otherwise takes most of the time.
    forkserver()
    context = multiprocessing.start_processes(
        _work, (request.param, str(folder)), nprocs=request.param, join=False, start_method="forkserver"
    )
    with _time_limit(context, SECONDS):
        pass
    return [torch.load(folder / f"rank{process}.pt") for process in range(request.param)]


def _relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item() if expected.any() else found.norm().item()


@functools.cache
def _alone(variant: str, scenario: str, dtype: torch.dtype) -> dict[str, Any]:
    """The whole batch in this process, at once."""
    return _one_step(Trained(variant, dtype), scenario, slice(0, ROWS), dtype)


def _assert_equals_one_process(
    ranks: list[dict[Any, Any]], key: Any, variant: str, scenario: str, dtype: torch.dtype = torch.float64
) -> None:
    alone, tolerance = _alone(variant, scenario, dtype), TOLERANCE[dtype]
    mean_total = torch.stack([found[key]["total"] for found in ranks]).mean()
    assert mean_total.dtype == dtype
    assert _relative(mean_total, alone["total"]) <= tolerance
    whole = torch.cat([gradient.flatten() for gradient in alone["gradients"].values()]).norm().item()
    for found in ranks:
        assert found[key]["gradients"].keys() == alone["gradients"].keys()
        for parameter, expected in alone["gradients"].items():
            difference = (found[key]["gradients"][parameter] - expected).norm().item()
            # A shift of all attention scores cancels: the gradient of their bias is 0 but for rounding, which has
            # nothing to be relative to but the whole gradient.
            assert difference <= tolerance * (expected.norm().item() + 1e-3 * whole), parameter
        for loss, expected in alone["report"].items():
            assert _relative(found[key]["report"][loss], expected) <= tolerance, loss


# --- one process is the measure ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_and_averaged_gradients_equal_one_process(
    ranks: list[dict[Any, Any]], variant: str, scenario: str, dtype: torch.dtype
) -> None:
    _assert_equals_one_process(ranks, (variant, scenario, dtype), variant, scenario, dtype)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_encoded_in_chunks_under_data_parallel_training_equal_the_whole(
    ranks: list[dict[Any, Any]], variant: str
) -> None:
    _assert_equals_one_process(ranks, ("chunked", variant), variant, "ordinary")


def test_data_parallel_training_sees_the_gradient_of_one_process(ranks: list[dict[Any, Any]]) -> None:
    _assert_equals_one_process(ranks, "data-parallel", PLAIN, "ordinary")


def test_a_backend_without_reduce_scatter_gives_the_same_gradients(ranks: list[dict[Any, Any]]) -> None:
    assert ranks[0]["gloo has reduce-scatter"]
    _assert_equals_one_process(ranks, "without reduce-scatter", PLAIN, "ordinary")


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_scenarios_are_what_their_names_say(variant: str, scenario: str) -> None:
    step = _alone(variant, scenario, torch.float64)
    report, gradients = step["report"], step["gradients"]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert ("objective.log_temperature" in gradients) == VARIANTS[variant].learn_temperature
    if scenario == "no valid row anywhere":
        assert step["total"] == 0 and not any(gradient.any() for gradient in gradients.values())
        return
    assert report["contrastive"] > 0
    if VARIANTS[variant].learn_temperature:
        assert gradients["objective.log_temperature"].abs() > 1e-4
    assert (report["triplet"] > 0) == (scenario != "one accent only")


# --- the collectives themselves ---------------------------------------------------------------------------------------


def test_rows_are_gathered_in_rank_order(ranks: list[dict[Any, Any]]) -> None:
    world = len(ranks)
    expected = torch.cat([10.0 * process + torch.arange(3.0) for process in range(world)])
    for process, found in enumerate(ranks):
        assert found["ranks"] == (process, world)
        assert torch.equal(found["gathered"], expected[:, None].expand(-1, 2))
        assert torch.equal(found["labels"], torch.arange(2 * world))


def test_gradient_returns_to_the_row_it_came_from_summed_over_ranks(ranks: list[dict[Any, Any]]) -> None:
    world = len(ranks)
    for process, found in enumerate(ranks):
        expected = sum(range(1, world + 1)) * torch.arange(3.0 * process, 3.0 * process + 3)
        assert torch.equal(found["gathered gradient"], expected[:, None].expand(-1, 2))


def test_sums_run_over_ranks_and_leave_the_argument_alone(ranks: list[dict[Any, Any]]) -> None:
    world = len(ranks)
    for process, found in enumerate(ranks):
        assert found["sum"].tolist() == [world, sum(range(world))]
        assert found["kept"].tolist() == [1, process]


def test_without_process_group_there_is_one_rank() -> None:
    assert (rank(), world_size()) == (0, 1)
    x_B2 = torch.randn(3, 2, requires_grad=True)
    assert torch.equal(all_gather(x_B2), x_B2) and not all_gather(x_B2).requires_grad
    assert all_gather_with_gradient(x_B2) is x_B2
    assert torch.equal(all_reduce_sum(x_B2), x_B2)
