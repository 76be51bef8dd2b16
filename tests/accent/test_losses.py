"""The losses against loops that follow their definitions.  Shapes: B or N rows, E embedding, T frames, D columns."""

import dataclasses
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from accent.configuration import load
from accent.errors import AccentError
from accent.losses import AccentObjective, LossConfig
from accent.losses.contrastive import contrastive_loss
from accent.losses.cross_entropy import cross_entropy_loss
from accent.losses.reconstruction import reconstruction_loss
from accent.losses.rows import Rows, pair_masks
from accent.losses.triplet import triplet_loss
from accent.model import EncoderOutput

RULES = ("any", "other_speaker")


def random_rows(count: int, accents: int = 3, speakers: int = 6, invalid: int = 2, seed: int = 0) -> Rows:
    """Unit vectors with labels; the speaker fixes the accent, and some rows are invalid."""
    generator = torch.Generator().manual_seed(seed)
    speaker_N = torch.randint(speakers, (count,), generator=generator)
    valid_N = torch.ones(count, dtype=torch.bool)
    valid_N[torch.randperm(count, generator=generator)[:invalid]] = False
    embedding_NE = F.normalize(torch.randn(count, 5, generator=generator, dtype=torch.float64), dim=1)
    return Rows(embedding_NE, speaker_N % accents, speaker_N, speaker_N * 0, torch.arange(count), valid_N)


def random_output(rows: int, seed: int = 0, frames: int = 6, dtype: torch.dtype = torch.float64) -> EncoderOutput:
    """What an encoder of two families (two columns, one column) might return."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    return EncoderOutput(
        embedding_BE=F.normalize(noise(rows, 5), dim=1).requires_grad_(),
        accent_logits_BA=noise(rows, 3).requires_grad_(),
        reconstruction_BTD=noise(rows, frames, 3).requires_grad_(),
        target_BTD=noise(rows, frames, 3),
        target_mask_BTD=torch.rand(rows, frames, 3, generator=generator) < 0.7,
        fusion_weights_F=torch.tensor([0.5, 0.5], dtype=dtype),
        family_D=torch.tensor([0, 0, 1]),
    )


def attracts(rows: Rows, i: int, j: int, rule: str) -> bool:
    same_accent = bool(rows.accent_N[i] == rows.accent_N[j])
    return same_accent and (rule == "any" or bool(rows.speaker_N[i] != rows.speaker_N[j]))


def others(rows: Rows, i: int) -> list[int]:
    return [j for j in range(len(rows.valid_N)) if j != i and rows.valid_N[j]]


# --- pairs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_pairs_follow_the_rule_written_out(rule: str) -> None:
    rows = random_rows(20)
    positive, negative = pair_masks(rows, rows, rule)  # type: ignore[arg-type]
    for i, j in itertools.product(range(20), repeat=2):
        usable = i != j and bool(rows.valid_N[i]) and bool(rows.valid_N[j])
        assert positive[i, j] == (usable and attracts(rows, i, j, rule))
        assert negative[i, j] == (usable and rows.accent_N[i] != rows.accent_N[j])


# --- contrastive ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_contrastive_loss_equals_its_definition(rule: str, seed: int) -> None:
    rows = random_rows(16, seed=seed)
    z, temperature = rows.embedding_NE, 0.2
    expected, counted = 0.0, 0
    for i in (i for i in range(16) if rows.valid_N[i]):
        positives = [j for j in others(rows, i) if attracts(rows, i, j, rule)]
        negatives = [j for j in others(rows, i) if rows.accent_N[j] != rows.accent_N[i]]
        if positives:
            denominator = sum(math.exp(z[i] @ z[j] / temperature) for j in positives + negatives)
            terms = [math.log(math.exp(z[i] @ z[p] / temperature) / denominator) for p in positives]
            expected -= sum(terms) / len(terms)
            counted += 1
    loss = contrastive_loss(rows, rows, torch.tensor([temperature], dtype=torch.float64), rule)  # type: ignore[arg-type]
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert loss.counted.item() == counted > 0


def test_contrastive_gradient_equals_finite_differences() -> None:
    rows = random_rows(8, seed=3)

    def loss(embedding_NE: Tensor, temperature: Tensor) -> Tensor:
        given = rows._replace(embedding_NE=embedding_NE)
        return contrastive_loss(given, given, temperature, "other_speaker").total

    temperature = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (rows.embedding_NE.clone().requires_grad_(), temperature))


def test_another_utterance_of_the_same_speaker_neither_attracts_nor_repels() -> None:
    rows = random_rows(12, invalid=0)
    anchor, same = next(
        (i, j) for i, j in itertools.combinations(range(12), 2) if rows.speaker_N[i] == rows.speaker_N[j]
    )
    anchors = Rows(*(part[anchor : anchor + 1] for part in rows))
    moved = rows._replace(embedding_NE=rows.embedding_NE.clone())
    moved.embedding_NE[same] = -moved.embedding_NE[same]
    temperature = torch.tensor([0.1], dtype=torch.float64)
    there, here = (contrastive_loss(anchors, keys, temperature, "other_speaker") for keys in (rows, moved))
    assert there.counted == here.counted == 1
    assert there.total == here.total


def test_low_temperatures_do_not_overflow_in_float32() -> None:
    rows = random_rows(16)
    rows = rows._replace(embedding_NE=rows.embedding_NE.float().requires_grad_())
    loss = contrastive_loss(rows, rows, torch.tensor([0.001]), "other_speaker")
    loss.total.backward()
    assert loss.total.isfinite()
    assert rows.embedding_NE.grad is not None and rows.embedding_NE.grad.isfinite().all()


# --- triplet ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_triplet_loss_equals_its_definition(rule: str, seed: int) -> None:
    rows, margin = random_rows(16, seed=seed), 0.3
    expected, counted, active = 0.0, 0, 0
    for i in (i for i in range(16) if rows.valid_N[i]):
        distance = [(rows.embedding_NE[i] - z).pow(2).sum().sqrt().item() for z in rows.embedding_NE]
        positives = [distance[j] for j in others(rows, i) if attracts(rows, i, j, rule)]
        negatives = [distance[j] for j in others(rows, i) if rows.accent_N[j] != rows.accent_N[i]]
        if positives and negatives:
            term = max(0.0, max(positives) - min(negatives) + margin)
            expected, counted, active = expected + term, counted + 1, active + (term > 0)
    loss, found_active = triplet_loss(rows, rows, margin, rule)  # type: ignore[arg-type]
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert (loss.counted.item(), found_active.item()) == (counted, active)
    assert counted > 0


def test_triplet_gradient_equals_finite_differences() -> None:
    rows = random_rows(8, seed=3)

    def loss(embedding_NE: Tensor) -> Tensor:
        given = rows._replace(embedding_NE=embedding_NE)
        return triplet_loss(given, given, 0.3, "other_speaker")[0].total

    assert torch.autograd.gradcheck(loss, (rows.embedding_NE.clone().requires_grad_(),))


def test_collapsed_embeddings_cost_the_margin_and_have_finite_gradients() -> None:
    rows = random_rows(12, invalid=0)
    rows = rows._replace(embedding_NE=rows.embedding_NE[:1].repeat(12, 1).requires_grad_())
    loss, active = triplet_loss(rows, rows, 0.3, "other_speaker")
    loss.total.backward()
    assert loss.total.item() / loss.counted.item() == pytest.approx(0.3)
    assert active == loss.counted
    assert rows.embedding_NE.grad is not None and rows.embedding_NE.grad.isfinite().all()


# --- reconstruction and cross-entropy ---------------------------------------------------------------------------------


def test_reconstruction_loss_equals_its_definition_family_by_family() -> None:
    output, valid = random_output(4), [True, False, True, True]
    prediction, target, mask = output.reconstruction_BTD, output.target_BTD, output.target_mask_BTD
    sums, counts = [0.0, 0.0], [0, 0]
    for row, frame, column in itertools.product(range(4), range(6), range(3)):
        if valid[row] and mask[row, frame, column]:
            error = abs((prediction[row, frame, column] - target[row, frame, column]).item())
            sums[column // 2] += 0.5 * error**2 if error < 1 else error - 0.5
            counts[column // 2] += 1
    loss = reconstruction_loss(prediction, target, mask, output.family_D, 2, torch.tensor(valid))
    torch.testing.assert_close(loss.total, torch.tensor(sums, dtype=torch.float64), rtol=1e-12, atol=0)
    assert loss.counted.tolist() == counts


def test_a_family_of_many_columns_counts_no_more_than_one_of_few() -> None:
    def loss(wide_error: float, narrow_error: float) -> float:
        output = random_output(2)
        error_D = torch.tensor([wide_error] * 2 + [narrow_error], dtype=torch.float64)
        output = output._replace(
            reconstruction_BTD=output.target_BTD + error_D, target_mask_BTD=torch.ones_like(output.target_mask_BTD)
        )
        return objective_of(output, 2)[1]["reconstruction"].item()

    assert loss(1.0, 0.0) == pytest.approx(loss(0.0, 1.0)) == pytest.approx(0.25)


def test_a_family_that_is_nowhere_defined_does_not_dilute_the_mean() -> None:
    output = random_output(2)
    mask_BTD = torch.ones_like(output.target_mask_BTD)
    mask_BTD[..., 2] = False
    output = output._replace(reconstruction_BTD=output.target_BTD + 1.0, target_mask_BTD=mask_BTD)
    assert objective_of(output, 2)[1]["reconstruction"].item() == pytest.approx(0.5)


def test_cross_entropy_equals_its_definition_and_never_reads_invalid_labels() -> None:
    logits_BA = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    accent_B, valid_B, smoothing = torch.tensor([0, -1, 2, 1]), torch.tensor([True, False, True, True]), 0.2
    expected = 0.0
    for row in (0, 2, 3):
        log_share = (logits_BA[row] - logits_BA[row].exp().sum().log()).tolist()
        expected -= sum(
            ((1 - smoothing) * (accent_B[row] == accent).item() + smoothing / 3) * log_share[accent]
            for accent in range(3)
        )
    loss = cross_entropy_loss(logits_BA, accent_B, valid_B, smoothing)
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert loss.counted == 3


# --- objective --------------------------------------------------------------------------------------------------------


def objective_of(
    output: EncoderOutput, rows: int, config: LossConfig | None = None, valid: list[bool] | None = None
) -> tuple[Tensor, dict[str, Tensor], AccentObjective]:
    objective = AccentObjective(config).double()
    label_B = torch.arange(rows)
    valid_B = torch.tensor(valid if valid is not None else [True] * rows)
    total, report = objective(output, label_B % 3, label_B, label_B, valid_B)
    return total, report, objective


def test_the_total_is_the_weighted_sum_of_the_means() -> None:
    config = LossConfig(contrastive=0.7, triplet=0.2, reconstruction=3.0, cross_entropy=1.1)
    total, report, _ = objective_of(random_output(9), 9, config)
    names = ("contrastive", "triplet", "reconstruction", "cross_entropy")
    expected = sum(getattr(config, name) * report[name].item() for name in names)
    assert total.item() == pytest.approx(expected, rel=1e-12)
    assert report["total"].item() == pytest.approx(expected, rel=1e-12)
    assert set(report) == {*names, "total", "triplet_active", "embedding_spread", "temperature"}
    assert all(value.dim() == 0 and not value.requires_grad for value in report.values())


def test_invalid_rows_change_nothing() -> None:
    output = random_output(9)
    total, report, objective = objective_of(output, 9)
    gradient = torch.autograd.grad(total, [output.embedding_BE, output.reconstruction_BTD, objective.log_temperature])

    noise = random_output(3, seed=9)
    longer = [torch.cat([a, b]) if len(a) == 9 else a for a, b in zip(output, noise, strict=True)]
    leaves = EncoderOutput(*(part.detach().requires_grad_(part.requires_grad) for part in longer))
    total_longer, report_longer, objective = objective_of(leaves, 12, valid=[True] * 9 + [False] * 3)
    found = torch.autograd.grad(
        total_longer, [leaves.embedding_BE, leaves.reconstruction_BTD, objective.log_temperature]
    )
    torch.testing.assert_close(total_longer, total, rtol=1e-12, atol=1e-14)
    for name, value in report.items():
        torch.testing.assert_close(report_longer[name], value, rtol=1e-12, atol=1e-14)
    for one, other in zip(found[:2], gradient[:2], strict=True):
        torch.testing.assert_close(one[:9], other, rtol=1e-12, atol=1e-14)
        assert (one[9:] == 0).all()
    torch.testing.assert_close(found[2], gradient[2], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("valid", [[False] * 4, [True, False, False, False]])
def test_a_batch_without_a_pair_has_zero_losses_and_zero_gradients_not_missing_ones(valid: list[bool]) -> None:
    output = random_output(4)
    total, report, objective = objective_of(output, 4, LossConfig(cross_entropy=0.0, reconstruction=0.0), valid)
    total.backward()
    assert total == report["contrastive"] == report["triplet"] == 0
    for leaf in (output.embedding_BE, output.accent_logits_BA, output.reconstruction_BTD, objective.log_temperature):
        assert leaf.grad is not None and (leaf.grad == 0).all()


@pytest.mark.parametrize("name", ["contrastive", "triplet", "reconstruction", "cross_entropy"])
def test_a_loss_of_weight_zero_is_reported_and_has_no_influence(name: str) -> None:
    output = random_output(9)
    total, report, objective = objective_of(output, 9, dataclasses.replace(LossConfig(), **{name: 0.0}))
    total.backward()
    assert report[name] > 0
    leaves = (output.embedding_BE, output.accent_logits_BA, output.reconstruction_BTD, objective.log_temperature)
    assert all(leaf.grad is not None for leaf in leaves)
    silent = {"contrastive": 3, "reconstruction": 2, "cross_entropy": 1}
    if name in silent:
        assert (leaves[silent[name]].grad == 0).all()


def test_autocast_changes_no_loss() -> None:
    output = random_output(9, dtype=torch.float32)
    exact = objective_of(output, 9)[1]
    with torch.autocast("cpu", torch.bfloat16):
        found = objective_of(output, 9)[1]
    for name, value in exact.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


def test_half_precision_outputs_are_summed_in_float32() -> None:
    output = random_output(9, dtype=torch.float32)
    halved = EncoderOutput(*(part.to(torch.bfloat16) if part.is_floating_point() else part for part in output))
    restored = EncoderOutput(*(part.float() if part.is_floating_point() else part for part in halved))
    label_B = torch.arange(9)
    found, exact = (
        AccentObjective()(given, label_B % 3, label_B, label_B, label_B >= 0)[1] for given in (halved, restored)
    )
    for name in ("contrastive", "triplet", "reconstruction", "cross_entropy"):
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], exact[name])


def test_spread_tells_collapsed_embeddings_from_scattered_ones() -> None:
    output = random_output(300)
    assert objective_of(output, 300)[1]["embedding_spread"] > 0.95
    collapsed = output._replace(embedding_BE=output.embedding_BE[:1].expand(300, -1))
    assert objective_of(collapsed, 300)[1]["embedding_spread"].item() == pytest.approx(0, abs=1e-12)


# --- temperature and configuration ------------------------------------------------------------------------------------


def test_temperature_starts_as_configured_and_stays_within_its_limits() -> None:
    objective = AccentObjective(LossConfig(temperature=0.2, temperature_min=0.05, temperature_max=0.5)).double()
    assert objective.temperature().item() == pytest.approx(0.2)
    for given, expected in [(0.001, 0.05), (0.3, 0.3), (7.0, 0.5)]:
        assert objective.log_temperature.shape == (1,)
        objective.log_temperature.data.fill_(math.log(given))
        assert objective.temperature().item() == pytest.approx(expected)
        (gradient,) = torch.autograd.grad(objective.temperature(), objective.log_temperature)
        assert gradient.item() == pytest.approx(expected)  # so that it can come back from beyond a limit


def test_a_fixed_temperature_is_no_parameter_but_is_saved() -> None:
    objective = AccentObjective(LossConfig(learn_temperature=False))
    assert not list(objective.parameters())
    assert "log_temperature" in objective.state_dict()


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("contrastive=-1", "contrastive"),
        ("temperature=0", "temperature"),
        ("temperature=2", "temperature"),
        ("margin=2.5", "margin"),
        ("positives=same_speaker", "positives"),
        ("label_smoothing=1", "label_smoothing"),
        ("tempreature=0.1", "temperature"),
    ],
)
def test_an_impossible_value_is_refused_by_name(word: str, key: str) -> None:
    with pytest.raises(AccentError, match=key):
        load(LossConfig, overrides=[word])
