"""Ranks against one process: real processes over gloo, in float64.

Each world size is started once and works through every scenario; the oracle is this process on the whole batch.
Shapes: B rows of a rank, N rows of all ranks.
"""

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

from accent.features.schema import N_COLUMNS
from accent.losses import AccentObjective, LossConfig, gather
from accent.losses.gather import all_gather, all_gather_with_gradient, all_reduce_sum, rank, world_size
from accent.model import EnhancedAccentEncoder, ModelConfig

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


class Trained(nn.Module):
    """Encoder and objective as one module, the way training wraps them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = EnhancedAccentEncoder(
            ModelConfig(hidden=8, blocks=1, layers=1, heads=2, embedding_dim=6, accents=("a", "b", "c"), dropout=0.0)
        )
        self.objective = AccentObjective(LossConfig(label_smoothing=0.1))
        self.double()

    def forward(
        self, frames_BTD: Tensor, valid_BT: Tensor, accent_B: Tensor, speaker_B: Tensor, row_valid_B: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self.objective(self.encoder(frames_BTD, valid_BT), accent_B, speaker_B, speaker_B, row_valid_B)


def _batch(name: str, own: slice) -> list[Tensor]:
    """This rank's rows of the global batch of a scenario."""
    accents, speakers, valid = (torch.tensor(part) for part in SCENARIOS[name])
    generator = torch.Generator().manual_seed(1)
    frames_BTD = torch.randn(ROWS, FRAMES, N_COLUMNS, generator=generator, dtype=torch.float64)
    frames_BTD[torch.rand(frames_BTD.shape, generator=generator) < 0.2] = torch.nan
    valid_BT = torch.arange(FRAMES) < torch.randint(5, FRAMES + 1, (ROWS, 1), generator=generator)
    # As batches come: a row that only fills has one frame marked as real, so that nothing divides by zero.
    valid_BT[valid == 0] = torch.arange(FRAMES) == 0
    return [part[own] for part in (frames_BTD, valid_BT, accents, speakers, valid.bool())]


def _gradients(module: nn.Module) -> dict[str, Tensor | None]:
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def _one_step(module: nn.Module, name: str, own: slice) -> dict[str, Any]:
    module.zero_grad()
    total, report = module(*_batch(name, own))
    total.backward()
    return {"total": total.detach(), "report": report, "gradients": _gradients(module)}


def _work(process: int, world: int, folder: str) -> None:
    """One rank: every scenario, its gradients averaged over ranks; results go to a file."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", f"file://{folder}/rendezvous", timedelta(seconds=60), world_size=world, rank=process
    )
    own = slice(process * ROWS // world, (process + 1) * ROWS // world)
    results: dict[str, Any] = {"ranks": (rank(), world_size())}

    def averaged(name: str) -> dict[str, Any]:
        step = _one_step(Trained(), name, own)
        for gradient in step["gradients"].values():
            dist.all_reduce(gradient)
            gradient /= world
        return step

    for name in SCENARIOS:
        results[name] = averaged(name)

    has_reduce_scatter = gather._has_reduce_scatter
    gather._has_reduce_scatter = lambda device: False
    results["without reduce-scatter"] = averaged("ordinary")
    gather._has_reduce_scatter = has_reduce_scatter
    results["gloo has reduce-scatter"] = has_reduce_scatter(torch.device("cpu"))

    wrapped = nn.parallel.DistributedDataParallel(Trained())
    step = _one_step(wrapped, "ordinary", own)
    step["gradients"] = {name.removeprefix("module."): grad for name, grad in step["gradients"].items()}
    results["data-parallel"] = step

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


@pytest.fixture(scope="module", params=[1, 2, 4])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What every rank of a world of 1, 2 or 4 found."""
    folder: Path = tmp_path_factory.mktemp(f"world{request.param}")
    # The server imports torch once for all ranks, which otherwise takes most of the time.
    multiprocessing.get_context("forkserver").set_forkserver_preload(["torch", "accent.losses.objective"])
    context = multiprocessing.start_processes(
        _work, (request.param, str(folder)), nprocs=request.param, join=False, start_method="forkserver"
    )
    with _time_limit(context, SECONDS):
        pass
    return [torch.load(folder / f"rank{process}.pt") for process in range(request.param)]


def _relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item() if expected.any() else found.norm().item()


def _assert_equals_one_process(ranks: list[dict[str, Any]], name: str, scenario: str) -> None:
    alone = _one_step(Trained(), scenario, slice(0, ROWS))
    mean_total = torch.stack([found[name]["total"] for found in ranks]).mean()
    assert _relative(mean_total, alone["total"]) < 1e-12
    whole = torch.cat([gradient.flatten() for gradient in alone["gradients"].values()]).norm().item()
    for found in ranks:
        assert found[name]["gradients"].keys() == alone["gradients"].keys()
        for parameter, expected in alone["gradients"].items():
            difference = (found[name]["gradients"][parameter] - expected).norm().item()
            # A shift of all attention scores cancels: the gradient of their bias is 0 but for rounding, which has
            # nothing to be relative to but the whole gradient.
            assert difference <= 1e-12 * expected.norm().item() + 1e-15 * whole, parameter
        for loss, expected in alone["report"].items():
            assert _relative(found[name]["report"][loss], expected) < 1e-12, loss


# --- one process is the measure ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_losses_and_averaged_gradients_equal_one_process(ranks: list[dict[str, Any]], scenario: str) -> None:
    _assert_equals_one_process(ranks, scenario, scenario)


def test_data_parallel_training_sees_the_gradient_of_one_process(ranks: list[dict[str, Any]]) -> None:
    _assert_equals_one_process(ranks, "data-parallel", "ordinary")


def test_a_backend_without_reduce_scatter_gives_the_same_gradients(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["gloo has reduce-scatter"]
    _assert_equals_one_process(ranks, "without reduce-scatter", "ordinary")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_scenarios_are_what_their_names_say(scenario: str) -> None:
    step = _one_step(Trained(), scenario, slice(0, ROWS))
    report, gradients = step["report"], step["gradients"]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    attracted = report["contrastive"] > 0 and gradients["objective.log_temperature"].abs() > 1e-4
    if scenario == "no valid row anywhere":
        assert step["total"] == 0 and not any(gradient.any() for gradient in gradients.values())
    elif scenario == "one accent only":
        assert attracted and report["triplet"] == 0
    else:
        assert attracted and report["triplet"] > 0


# --- the collectives themselves ---------------------------------------------------------------------------------------


def test_rows_are_gathered_in_rank_order(ranks: list[dict[str, Any]]) -> None:
    world = len(ranks)
    expected = torch.cat([10.0 * process + torch.arange(3.0) for process in range(world)])
    for process, found in enumerate(ranks):
        assert found["ranks"] == (process, world)
        assert torch.equal(found["gathered"], expected[:, None].expand(-1, 2))
        assert torch.equal(found["labels"], torch.arange(2 * world))


def test_gradient_returns_to_the_row_it_came_from_summed_over_ranks(ranks: list[dict[str, Any]]) -> None:
    world = len(ranks)
    for process, found in enumerate(ranks):
        expected = sum(range(1, world + 1)) * torch.arange(3.0 * process, 3.0 * process + 3)
        assert torch.equal(found["gathered gradient"], expected[:, None].expand(-1, 2))


def test_sums_run_over_ranks_and_leave_the_argument_alone(ranks: list[dict[str, Any]]) -> None:
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
