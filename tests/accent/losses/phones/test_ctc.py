"""CTC against the sum over all paths, written out; and the objective on two ranks against one process.

Shapes: B rows, T frames, U units.
"""

import itertools
import os
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor

from accent.features.phones import PHONES
from accent.losses.phones.ctc import PRIOR_POWER, phone_ctc
from accent.losses.phones.objective import PhoneObjective
from accent.model.phonetic.phone_head import PhoneHead, PhoneLogits

UNITS = ("sil", "AA", "AA", "N")
PHONE_U = torch.tensor([PHONES.index(name) for name in UNITS])
PRIOR_P = torch.zeros(len(PHONES), dtype=torch.float64)
PRIOR_P[PHONE_U] = torch.tensor([0.5, 0.3, 0.3, 0.2], dtype=torch.float64)
AA, N = PHONES.index("AA"), PHONES.index("N")


def logits_of(rows: int, frames: int) -> PhoneLogits:
    generator = torch.Generator().manual_seed(0)
    unit_BTU = torch.randn(rows, frames, len(UNITS), generator=generator, dtype=torch.float64)
    return PhoneLogits(unit_BTU.requires_grad_(), torch.zeros(rows, frames, 3, dtype=torch.float64))


def spoken(path: tuple[int, ...]) -> list[int]:
    """The phones of a path through the units: equal neighbours are one, silence is none."""
    return [phone for phone, _ in itertools.groupby(int(PHONE_U[unit]) for unit in path) if phone != 0]


def by_all_paths(unit_TU: Tensor, labels: list[int]) -> Tensor:
    log_TU = unit_TU.log_softmax(-1)
    paths = [
        torch.stack(
            [log_TU[at, unit] - PRIOR_POWER * PRIOR_P[PHONE_U[unit]].log() for at, unit in enumerate(path)]
        ).sum()
        for path in itertools.product(range(len(UNITS)), repeat=len(unit_TU))
        if spoken(path) == labels
    ]
    return -torch.stack(paths).logsumexp(0)


def test_loss_and_gradient_are_those_of_the_sum_over_all_paths():
    logits, labels, frames = logits_of(3, 5), [[AA, N], [N], [AA, N, AA]], [5, 3, 4]
    found = phone_ctc(logits, torch.tensor(frames), [torch.tensor(one) for one in labels], PHONE_U, PRIOR_P)
    (gradient,) = torch.autograd.grad(found.total, logits.unit_BTU)
    expected = torch.stack(
        [by_all_paths(row_TU[:count], one) for row_TU, one, count in zip(logits.unit_BTU, labels, frames, strict=True)]
    ).sum()
    (expected_gradient,) = torch.autograd.grad(expected, logits.unit_BTU)
    assert found.counted == sum(frames)
    torch.testing.assert_close(found.total, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-6)
    assert gradient[0].any() and not gradient[1, 3:].any()


def test_without_a_transcript_the_loss_is_zero_and_still_reaches_the_head():
    logits = logits_of(2, 4)
    found = phone_ctc(PhoneLogits(*(part[[]] for part in logits)), torch.zeros(0).long(), [], PHONE_U, PRIOR_P)
    found.total.backward()
    assert found.total == 0 and found.counted == 0
    assert not logits.unit_BTU.grad.any()


def test_a_head_learns_to_spell_transcripts_without_ever_seeing_times():
    torch.manual_seed(0)
    head = PhoneHead(columns=4, units=len(UNITS), channels=16, dropout=0.0)
    # Nothing is hidden from it: a stretch of it may be a whole word here.
    head.hide = torch.nn.Identity()
    code = torch.eye(4)
    words = [[1, 3], [3, 1], [3], [1]]

    def batch(seed: int) -> tuple[Tensor, list[Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        rows, labels = [], []
        for word in words:
            units = [0, *itertools.chain.from_iterable((unit, 0) for unit in word)]
            lengths = torch.randint(4, 8, (len(units),), generator=generator).tolist()
            row = torch.cat([code[unit].expand(length, 4) for unit, length in zip(units, lengths, strict=True)])
            rows.append(torch.nn.functional.pad(row, (0, 0, 0, 40 - len(row)), value=0.0))
            labels.append(PHONE_U[word])
        return torch.stack(rows), labels

    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    valid_BT, frames_B = torch.ones(4, 40, dtype=torch.bool), torch.full((4,), 40)
    for step in range(150):
        optimizer.zero_grad()
        values_BTD, labels = batch(step)
        found = phone_ctc(head(values_BTD, valid_BT), frames_B, labels, PHONE_U, PRIOR_P)
        (found.total / found.counted).backward()
        optimizer.step()
    head.eval()
    values_BTD, labels = batch(1_000)
    best_BT = head(values_BTD, valid_BT).unit_BTU.argmax(-1)
    assert [spoken(tuple(row_T.tolist())) for row_T in best_BT] == [one.tolist() for one in labels]


# --- ranks ------------------------------------------------------------------------------------------------------------

ROWS, FRAMES = 8, 12
LABELS = {0: [AA, N], 3: [N], 6: [AA], 7: [N, AA, N]}
"""Of the rows that have a transcript; the others are aligned.  Rows 4 to 7 are rank 1."""
HALF_B = [0, 1, 0, 0, 1, 1, 1, 1]


def one_step(own: slice) -> dict[str, Tensor]:
    """Two heads, each on its own rows; returns loss, report and gradients."""
    torch.manual_seed(0)
    heads = torch.nn.ModuleList(PhoneHead(4, len(UNITS), 8, 0.0) for _ in range(2)).double().eval()
    values_BTD = torch.randn(ROWS, FRAMES, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state_BT = torch.randint(0, 3 * len(UNITS), (ROWS, FRAMES), generator=torch.Generator().manual_seed(2))
    state_BT[list(LABELS)] = -1
    by_head, ctc_by_head = [], []
    for half, head in enumerate(heads):
        rows = [row for row in range(ROWS)[own] if HALF_B[row] == half]
        logits = head(values_BTD[rows or [0]], torch.ones(len(rows) or 1, FRAMES, dtype=torch.bool))
        by_head.append((logits, state_BT[rows] if rows else torch.full((1, FRAMES), -1)))
        places = [place for place, row in enumerate(rows) if row in LABELS]
        labels = [torch.tensor(LABELS[rows[place]]) for place in places]
        picked = PhoneLogits(*(part[places] for part in logits))
        ctc_by_head.append(phone_ctc(picked, torch.full((len(places),), FRAMES), labels, PHONE_U, PRIOR_P))
    loss, report = PhoneObjective(ctc=0.7)(by_head, PHONE_U, ctc_by_head)
    loss.backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in heads.parameters()])
    return {"loss": loss.detach(), "gradient": gradient, **report}


def _work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", f"file://{folder}/meet", timedelta(seconds=60), world_size=2, rank=rank)
    found = one_step(slice(rank * ROWS // 2, (rank + 1) * ROWS // 2))
    for name in ("loss", "gradient"):
        dist.all_reduce(found[name])
        found[name] /= 2
    torch.save(found, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_have_the_loss_the_report_and_the_gradients_of_one_process(tmp_path: Path):
    multiprocessing.start_processes(_work, (str(tmp_path),), nprocs=2, start_method="spawn")
    alone = one_step(slice(0, ROWS))
    assert {"total", "frame_accuracy", "ctc"} <= set(alone)
    for rank in range(2):
        found = torch.load(tmp_path / f"rank{rank}.pt")
        for name, expected in alone.items():
            assert float((found[name] - expected).norm()) <= 1e-12 * (1 + float(expected.norm())), name


def test_without_transcripts_the_objective_is_as_before():
    logits = logits_of(2, 4)
    state_BT = torch.tensor([[0, 3, 4, 5], [9, 10, 11, -1]])
    found, report = PhoneObjective(ctc=0.7)([(logits, state_BT)], PHONE_U)
    expected, _ = PhoneObjective()([(logits, state_BT)], PHONE_U)
    assert torch.equal(found, expected) and "ctc" not in report


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_weight_is_that_of_the_ctc_part(weight):
    logits, state_BT = logits_of(2, 4), torch.tensor([[0, 3, 4, 5], [-1, -1, -1, -1]])
    ctc = phone_ctc(
        PhoneLogits(*(part[[1]] for part in logits)), torch.tensor([4]), [torch.tensor([AA, N])], PHONE_U, PRIOR_P
    )
    aligned, _ = PhoneObjective()([(logits, state_BT)], PHONE_U)
    found, report = PhoneObjective(weight)([(logits, state_BT)], PHONE_U, [ctc])
    torch.testing.assert_close(found, aligned + weight * ctc.total / 4)
    torch.testing.assert_close(report["total"], found.detach())
