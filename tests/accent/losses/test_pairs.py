"""The losses over pairs of rows against loops that follow their definitions, and against pytorch-metric-learning.

Shapes: B anchors, N rows, E embedding.
"""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor

from accent.losses.contrastive import contrastive_loss
from accent.losses.pair_blocks import anchor_blocks, sum_over_blocks
from accent.losses.pairs import LabelledEmbeddings, PairRule, pair_masks
from accent.losses.semi_hard import semi_hard_loss
from accent.losses.triplet import triplet_loss
from tests.support.loss_rows import RULES, negatives_of, positives_of, random_rows, some

OTHER_SPEAKER = PairRule("other_speaker")
TILE = 4096

PairSum = Callable[[LabelledEmbeddings, LabelledEmbeddings, Tensor, PairRule, int], Tensor]
LOSSES: dict[str, PairSum] = {
    "contrastive": lambda anchors, keys, t, rule, tile: contrastive_loss(anchors, keys, t, rule, tile).total,
    "batch_hard": lambda anchors, keys, t, rule, tile: triplet_loss(anchors, keys, 0.3, rule, tile)[0].total,
    "semi_hard": lambda anchors, keys, t, rule, tile: semi_hard_loss(anchors, keys, 0.3, rule, tile)[0].total,
}


def temperature_of(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def squared_distances(rows: LabelledEmbeddings, i: int) -> list[float]:
    return [(rows.embedding_NE[i] - z).pow(2).sum().item() for z in rows.embedding_NE]


# --- pairs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_pairs_follow_the_rule_written_out(rule: PairRule) -> None:
    rows = random_rows(20)
    positive, negative = pair_masks(rows, rows, rule)
    for i in range(20):
        assert positive[i].nonzero().flatten().tolist() == positives_of(rows, i, rule)
        assert negative[i].nonzero().flatten().tolist() == negatives_of(rows, i)


# --- contrastive ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_contrastive_loss_equals_its_definition(rule: PairRule, seed: int) -> None:
    rows = random_rows(16, seed=seed)
    z, temperature = rows.embedding_NE, 0.2
    expected, counted = 0.0, 0
    for i in range(16):
        positives, negatives = positives_of(rows, i, rule), negatives_of(rows, i)
        if positives:
            denominator = sum(math.exp(z[i] @ z[j] / temperature) for j in positives + negatives)
            terms = [math.log(math.exp(z[i] @ z[p] / temperature) / denominator) for p in positives]
            expected -= sum(terms) / len(terms)
            counted += 1
    loss = contrastive_loss(rows, rows, temperature_of(temperature), rule, TILE)
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert loss.counted.item() == counted > 0


@pytest.mark.parametrize(
    "change", [{"positives": "other_speaker"}, {"same_prompt": True}], ids=["same speaker", "other prompt"]
)
def test_a_row_of_the_accent_that_the_rule_leaves_out_neither_attracts_nor_repels(change: dict[str, object]) -> None:
    rule = PairRule(**change)  # type: ignore[arg-type]
    rows = random_rows(16, invalid=0)
    lossy = dict.fromkeys(LOSSES, 0)
    for i in range(16):
        for left_out in set(positives_of(rows, i, PairRule())) - set(positives_of(rows, i, rule)):
            moved = rows._replace(embedding_NE=rows.embedding_NE.clone())
            moved.embedding_NE[left_out] = -moved.embedding_NE[left_out]
            for name, loss in LOSSES.items():
                anchor = some(rows, slice(i, i + 1))
                there, here = (loss(anchor, keys, temperature_of(0.1), rule, TILE) for keys in (rows, moved))
                assert there == here
                lossy[name] += bool(there > 0)
    assert all(lossy.values())


def test_low_temperatures_do_not_overflow_in_float32() -> None:
    rows = random_rows(16)
    rows = rows._replace(embedding_NE=rows.embedding_NE.float().requires_grad_())
    loss = contrastive_loss(rows, rows, torch.tensor([0.001]), OTHER_SPEAKER, TILE)
    loss.total.backward()
    assert loss.total.isfinite()
    assert rows.embedding_NE.grad is not None and rows.embedding_NE.grad.isfinite().all()


# --- triplets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_batch_hard_loss_equals_its_definition(rule: PairRule, seed: int) -> None:
    rows, margin = random_rows(16, seed=seed), 0.3
    expected, counted, active = 0.0, 0, 0
    for i in range(16):
        squared = squared_distances(rows, i)
        positives = [math.sqrt(squared[j]) for j in positives_of(rows, i, rule)]
        negatives = [math.sqrt(squared[j]) for j in negatives_of(rows, i)]
        if positives and negatives:
            term = max(0.0, max(positives) - min(negatives) + margin)
            expected, counted, active = expected + term, counted + 1, active + (term > 0)
    loss, found_active = triplet_loss(rows, rows, margin, rule, TILE)
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert (loss.counted.item(), found_active.item()) == (counted, active)
    assert counted > 0


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_semi_hard_loss_equals_its_definition(rule: PairRule, seed: int) -> None:
    rows, margin = random_rows(30, seed=seed), 0.3
    expected, counted, active, without_farther = 0.0, 0, 0, 0
    for i in range(30):
        squared, negatives = squared_distances(rows, i), negatives_of(rows, i)
        for p in positives_of(rows, i, rule) if negatives else []:
            farther = [squared[n] for n in negatives if squared[n] > squared[p]]
            without_farther += not farther
            term = max(0.0, squared[p] - (min(farther) if farther else max(squared[n] for n in negatives)) + margin)
            expected, counted, active = expected + term, counted + 1, active + (term > 0)
    loss, found_active = semi_hard_loss(rows, rows, margin, rule, TILE)
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert (loss.counted.item(), found_active.item()) == (counted, active)
    assert 0 < without_farther < counted


def test_a_negative_exactly_as_far_as_the_positive_is_not_farther() -> None:
    embedding_NE = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, 0.8], [-1.0, 0.0]], dtype=torch.float64)
    label_N = torch.tensor([0, 0, 1, 1])
    rows = LabelledEmbeddings(
        embedding_NE, label_N, torch.arange(4), label_N, torch.arange(4), torch.ones(4, dtype=torch.bool)
    )
    loss, _ = semi_hard_loss(some(rows, slice(0, 1)), rows, 1.9, PairRule(), TILE)
    # The squared distances are 0.8 to the positive, and to the negatives 0.8 and 4.
    assert loss.total == 0
    assert semi_hard_loss(some(rows, slice(0, 1)), some(rows, slice(0, 3)), 1.9, PairRule(), TILE)[0].total == 1.9


@pytest.mark.parametrize("name", ["batch_hard", "semi_hard"])
def test_collapsed_embeddings_cost_the_margin_and_have_finite_gradients(name: str) -> None:
    rows = random_rows(12, invalid=0)
    rows = rows._replace(embedding_NE=rows.embedding_NE[:1].repeat(12, 1).requires_grad_())
    mined_loss = {"batch_hard": triplet_loss, "semi_hard": semi_hard_loss}[name]
    loss, active = mined_loss(rows, rows, 0.3, OTHER_SPEAKER, TILE)
    loss.total.backward()
    assert loss.total.item() / loss.counted.item() == pytest.approx(0.3)
    assert active == loss.counted
    assert rows.embedding_NE.grad is not None and rows.embedding_NE.grad.isfinite().all()


# --- gradients and blocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_equals_finite_differences(name: str, rule: PairRule) -> None:
    rows = random_rows(9, seed=3)

    def loss(anchor_BE: Tensor, key_NE: Tensor, temperature: Tensor) -> Tensor:
        anchors = some(rows, slice(2, 8))._replace(embedding_NE=anchor_BE)
        return LOSSES[name](anchors, rows._replace(embedding_NE=key_NE), temperature, rule, 4) + 0 * temperature.sum()

    given = (rows.embedding_NE[2:8].clone(), rows.embedding_NE.clone(), temperature_of(0.3))
    assert torch.autograd.gradcheck(loss, tuple(one.requires_grad_() for one in given))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", LOSSES)
def test_the_tile_changes_neither_loss_nor_gradient(name: str, rule: PairRule) -> None:
    rows = random_rows(24, seed=1)

    def step(tile: int) -> list[Tensor]:
        embedding_NE, temperature = rows.embedding_NE.clone().requires_grad_(), temperature_of(0.2).requires_grad_()
        keys = rows._replace(embedding_NE=embedding_NE)
        loss = LOSSES[name](some(keys, slice(6, 18)), keys, temperature, rule, tile)
        (3 * loss + 0 * temperature.sum()).backward()
        return [loss.detach(), embedding_NE.grad, temperature.grad]  # type: ignore[list-item]

    whole = step(24)
    assert whole[0] > 0 and whole[1].any()
    for tile in (1, 3, 5, 17, 1000):
        for found, expected in zip(step(tile), whole, strict=True):
            assert (found - expected).norm() <= 1e-12 * expected.norm(), tile


@pytest.mark.parametrize(("anchors", "keys", "tile"), [(12, 24, 1), (12, 24, 5), (12, 24, 24), (7, 64, 32), (5, 5, 9)])
def test_blocks_hold_every_anchor_once_and_no_more_comparisons_than_allowed(anchors: int, keys: int, tile: int) -> None:
    blocks = [range(anchors)[block] for block in anchor_blocks(anchors, keys, tile)]
    assert list(itertools.chain(*blocks)) == list(range(anchors))
    assert all(len(block) * keys <= max(anchors * tile, keys) for block in blocks)


def test_without_gradient_none_is_computed() -> None:
    rows = random_rows(8)
    recorded: list[bool] = []

    def watched(anchors: LabelledEmbeddings, keys: LabelledEmbeddings) -> tuple[Tensor, Tensor]:
        recorded.append(torch.is_grad_enabled())
        return (anchors.embedding_NE @ keys.embedding_NE.T).sum(), anchors.valid_N.sum()

    learning = rows._replace(embedding_NE=rows.embedding_NE.requires_grad_())
    with torch.no_grad():
        quiet, _ = sum_over_blocks(watched, learning, learning, 4)
    loud, valid = sum_over_blocks(watched, learning, learning, 4)
    assert recorded == [False] * 2 + [True] * 2
    assert quiet == loud and not quiet.requires_grad and loud.requires_grad
    assert valid == 6


# --- pytorch-metric-learning ------------------------------------------------------------------------------------------


def mean_and_gradient(loss: Callable[[Tensor], Tensor], embedding_NE: Tensor) -> tuple[Tensor, Tensor]:
    leaf_NE = embedding_NE.clone().requires_grad_()
    mean = loss(leaf_NE)
    (gradient_NE,) = torch.autograd.grad(mean, leaf_NE)
    # The library normalises, so that its gradient has no part along the embedding; ours is without that projection.
    along_NE = (gradient_NE * embedding_NE).sum(dim=1, keepdim=True) * embedding_NE
    return mean.detach(), gradient_NE - along_NE


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["contrastive", "batch_hard"])
def test_loss_and_gradient_equal_those_of_pytorch_metric_learning(name: str, seed: int) -> None:
    rows = random_rows(20, invalid=0, seed=seed)
    margin, miner = 0.3, BatchHardMiner()
    theirs = {
        "contrastive": lambda z_NE: SupConLoss(temperature=0.2)(z_NE, rows.accent_N),
        "batch_hard": lambda z_NE: TripletMarginLoss(margin, reducer=MeanReducer())(
            z_NE, rows.accent_N, miner(z_NE, rows.accent_N)
        ),
    }[name]

    def ours(z_NE: Tensor) -> Tensor:
        given = rows._replace(embedding_NE=z_NE)
        if name == "contrastive":
            loss = contrastive_loss(given, given, temperature_of(0.2), PairRule(), TILE)
        else:
            loss, _ = triplet_loss(given, given, margin, PairRule(), TILE)
        return loss.total / loss.counted

    found, expected = (mean_and_gradient(loss, rows.embedding_NE) for loss in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
