"""The training objective: the weighted sum of all losses, scaled so that N ranks train exactly as one process would.

Each rank sums over its own anchors, against the keys of every rank, and returns

    local sum x world size / count over all ranks.

The mean of gradients over ranks, which data-parallel training takes, is then the gradient of the mean loss over the
global batch.  Three collectives a step whatever the labels: embeddings (with gradient, so one more in backward),
labels, and one vector of sums and counts.

Shapes: B rows of this rank, N rows of all ranks, E embedding, F families.
"""

import math

import torch
from torch import Tensor, nn

from accent.losses.angular_margin import angular_margin_loss
from accent.losses.chunks import RowOutputs
from accent.losses.circle import circle_loss
from accent.losses.config import LossConfig
from accent.losses.contrastive import contrastive_loss
from accent.losses.cross_entropy import cross_entropy_loss
from accent.losses.gather import all_gather, all_gather_with_gradient, all_reduce_sum, rank, world_size
from accent.losses.pairs import LabelledEmbeddings, PairRule, RowLoss, only_valid
from accent.losses.semi_hard import semi_hard_loss
from accent.losses.speaker_adversary import AdversaryLoss
from accent.losses.triplet import triplet_loss
from accent.model.layers import full_precision


class AccentObjective(nn.Module):
    """All losses of a batch; owns the temperature and the speaker head, so it belongs inside the wrapped module.

    `log_temperature` has shape [1] and must not be decayed.

    Args:
        config: weights and settings.
        accent_scale: `ModelConfig.accent_scale` of the encoder, by which its logits are cosines; margins need it.
        adversary: the speaker head, where `config.adversary` is above 0.

    Raises:
        ValueError: a speaker head is asked for and missing.
    """

    def __init__(
        self, config: LossConfig | None = None, accent_scale: float = 16.0, adversary: AdversaryLoss | None = None
    ) -> None:
        super().__init__()
        self.config = config if config is not None else LossConfig()
        self.accent_scale = accent_scale
        if self.config.adversary and adversary is None:
            raise ValueError("losses.adversary: the speaker head must be given, made for the training speakers")
        self.adversary = adversary
        self.log_temperature: Tensor
        start = torch.tensor([math.log(self.config.temperature)])
        if self.config.learn_temperature:
            self.log_temperature = nn.Parameter(start)
        else:
            self.register_buffer("log_temperature", start)

    def temperature(self) -> Tensor:
        """Return the temperature, shape [1], within the configured limits.

        Its gradient ignores the limits: a clamp has no gradient beyond them, so a parameter that left them would never
        return.
        """
        low, high = math.log(self.config.temperature_min), math.log(self.config.temperature_max)
        free = full_precision(self.log_temperature)
        return (free + (free.clamp(low, high) - free).detach()).exp()

    def forward(
        self, rows: RowOutputs, accent_B: Tensor, speaker_B: Tensor, prompt_B: Tensor, row_valid_B: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the objective; a collective, called by every rank at every step.

        Args:
            rows: this rank's, encoded (`row_outputs`); the same number of rows on every rank.
            accent_B: labels, positions in the encoder's `config.accents`.
            speaker_B: speakers, as numbers that mean the same on every rank.
            prompt_B: texts read, likewise.
            row_valid_B: false for rows that only fill the batch; they contribute nothing, even where they hold NaN.

        Returns:
            The scalar to call `backward` on, whose mean over ranks is the loss of the global batch; and by name, the
            same on every rank and without gradient: `total`, `contrastive`, `triplet`, `reconstruction`,
            `cross_entropy` (unweighted means over the global batch), `accuracy` (share of the rows whose accent the
            head tells right), `triplet_active` (share of the triplets with a loss), `embedding_spread` (0 if all
            embeddings of the global batch coincide, near 1 if they point everywhere) and `temperature`; with a speaker
            head `adversary`, which counts fully in `total` because its weight acts only on the reversed gradient, and
            `speaker_accuracy`, the share of its rows that it tells right.
        """
        config = self.config
        rows = rows._replace(
            embedding_BE=only_valid(rows.embedding_BE, row_valid_B),
            accent_logits_BA=only_valid(rows.accent_logits_BA, row_valid_B),
        )
        anchors, keys = gather_rows(rows.embedding_BE, accent_B, speaker_B, prompt_B, row_valid_B)
        temperature = self.temperature()
        rule = PairRule(config.positives, config.same_prompt)
        mined_loss = {"batch_hard": triplet_loss, "semi_hard": semi_hard_loss}[config.mining]
        triplet, active = mined_loss(anchors, keys, config.margin, rule, config.tile)
        losses = {
            "contrastive": contrastive_loss(anchors, keys, temperature, rule, config.tile),
            "triplet": triplet,
            "reconstruction": RowLoss(rows.reconstruction_sum_F, rows.reconstruction_count_F),
            "cross_entropy": self._head_loss(rows.accent_logits_BA, accent_B, row_valid_B),
        }
        told_B = rows.accent_logits_BA.detach().argmax(dim=1)
        tallies = {"active": active, "told": ((told_B == accent_B) & row_valid_B).sum()}
        if self.adversary is not None:
            adversary = self.adversary(rows.embedding_BE, speaker_B, row_valid_B)
            losses["adversary"], tallies["right"] = adversary.loss, adversary.right
        weights = {name: 1.0 if name == "adversary" else getattr(config, name) for name in losses}
        scaled, means, counts = _over_all_ranks(losses, tallies)
        total = torch.stack([weights[name] * loss for name, loss in scaled.items()]).sum()
        report = {name: means[name] for name in losses}
        report["total"] = torch.stack([weights[name] * loss for name, loss in report.items()]).sum()
        report["accuracy"] = counts["told"] / counts["cross_entropy"].clamp(min=1)
        report["triplet_active"] = counts["active"] / counts["triplet"].clamp(min=1)
        if self.adversary is not None:
            report["speaker_accuracy"] = counts["right"] / counts["adversary"].clamp(min=1)
        report["embedding_spread"] = _spread(keys)
        report["temperature"] = temperature.detach().squeeze()
        return total, report

    def _head_loss(self, logits_BA: Tensor, accent_B: Tensor, valid_B: Tensor) -> RowLoss:
        config = self.config
        if config.head == "aam":
            return angular_margin_loss(
                logits_BA, accent_B, valid_B, config.label_smoothing, self.accent_scale, config.head_margin
            )
        if config.head == "circle":
            return circle_loss(logits_BA, accent_B, valid_B, self.accent_scale, config.head_margin)
        return cross_entropy_loss(logits_BA, accent_B, valid_B, config.label_smoothing)


def gather_rows(
    embedding_BE: Tensor, accent_B: Tensor, speaker_B: Tensor, prompt_B: Tensor, valid_B: Tensor
) -> tuple[LabelledEmbeddings, LabelledEmbeddings]:
    """Return this rank's rows and those of all ranks; a collective.

    Args:
        embedding_BE: unit vectors; gradient flows back to them from the keys of every rank.
        accent_B: labels.
        speaker_B: labels.
        prompt_B: labels.
        valid_B: false for rows that only fill the batch.

    Returns:
        anchors (B rows) and keys (N rows, in rank order).
    """
    embedding_BE = full_precision(embedding_BE)
    rows = len(embedding_BE)
    number_B = rank() * rows + torch.arange(rows, device=embedding_BE.device)
    labels_B5 = torch.stack([accent_B.long(), speaker_B.long(), prompt_B.long(), number_B, valid_B.long()], dim=1)
    anchors = LabelledEmbeddings(embedding_BE, accent_B, speaker_B, prompt_B, number_B, valid_B)
    accent_N, speaker_N, prompt_N, number_N, valid_N = all_gather(labels_B5).unbind(1)
    keys = LabelledEmbeddings(
        all_gather_with_gradient(embedding_BE), accent_N, speaker_N, prompt_N, number_N, valid_N.bool()
    )
    return anchors, keys


def _over_all_ranks(
    losses: dict[str, RowLoss], tallies: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Return each loss scaled for this rank's backward, its global mean, and all global counts; one collective.

    A loss of several parts (families) is the mean over the parts that occur anywhere in the global batch.
    """
    totals = {name: loss.total.reshape(-1) for name, loss in losses.items()}
    local = [total.detach() for total in totals.values()] + [loss.counted.reshape(-1) for loss in losses.values()]
    dtype = totals["contrastive"].dtype
    local += [tally.reshape(1) for tally in tallies.values()]
    everywhere = all_reduce_sum(torch.cat([part.to(dtype) for part in local]))
    reduced = everywhere.split([len(part) for part in local])
    sums, counted = reduced[: len(losses)], reduced[len(losses) : 2 * len(losses)]

    scaled, means = {}, {}
    counts = {name: tally.squeeze(0) for name, tally in zip(tallies, reduced[2 * len(losses) :], strict=True)}
    for name, global_sum, tally in zip(losses, sums, counted, strict=True):
        parts = (tally > 0).sum().clamp(min=1)
        divisor = tally.clamp(min=1) * parts
        scaled[name] = (totals[name] * (world_size() / divisor)).sum()
        means[name] = (global_sum / divisor).sum()
        counts[name] = tally.sum()
    return scaled, means, counts


def _spread(keys: LabelledEmbeddings) -> Tensor:
    """One minus the squared length of the mean embedding of the valid rows."""
    weight_N1 = keys.valid_N.to(keys.embedding_NE.dtype).unsqueeze(1)
    mean_E = (weight_N1 * keys.embedding_NE.detach()).sum(dim=0) / weight_N1.sum().clamp(min=1)
    return 1 - mean_E.square().sum()
