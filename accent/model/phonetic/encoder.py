"""The phonetic encoder, whole: frames -> phones -> sums by phone -> one vector of unit length.

    frames [B, T, D], NaN where undefined
      normalisation     values relative to the speaker's own voice, and a mask
      phone recogniser  which phone, in which context, at which third of it: no text needed
      sums              what each frame looks like, summed by state; they add up over utterances
      embedding         how each phone is said, relative to the training speakers -> fusion -> map -> unit length

The recogniser is trained first, on aligned speech of any accent (`launch.training.phones`), and then frozen: the sums
of an utterance do not change while the embedding is trained.

Shapes: B batch rows, T frames, D columns, R rows of sums, E embedding, A accents, V views, S states, P phones.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from accent.features.phones import PHONES
from accent.features.schema import N_COLUMNS
from accent.model.config import ModelConfig
from accent.model.encoder import EncoderOutput
from accent.model.heads import build_accent_head, grown_head
from accent.model.normalisation import Normalisation, VoiceStatistics
from accent.model.phonetic.embedding import PhoneticEmbedding
from accent.model.phonetic.inventory import Inventory
from accent.model.phonetic.recogniser import PhoneRecogniser
from accent.model.phonetic.statistics import PhoneStatistics, join, sum_frames
from accent.model.phonetic.views import FrameColumns, chosen_views

if TYPE_CHECKING:
    from accent.model.phonetic.frozen import FrozenRecogniser


class PhoneticEncoder(nn.Module):
    """Accent embeddings from how each phone is said.

    Args:
        config: with `branch="phones"` and the units; `accent.model.phonetic.inventory.build_inventory` finds them.

    Example:
        >>> config = ModelConfig(branch="phones", normalisation="speaker", units=("*-sil", "*-AA", "*-N"))
        >>> encoder = PhoneticEncoder(config).eval()
        >>> from accent.model.normalisation import measure_voices
        >>> frames, valid = torch.randn(2, 301, N_COLUMNS), torch.ones(2, 301, dtype=torch.bool)
        >>> tuple(encoder(frames, valid, measure_voices(frames, valid)).embedding_BE.shape)
        (2, 192)
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        inventory = Inventory(config.units)
        self.normalisation = Normalisation(N_COLUMNS, config.normalisation)
        self.recogniser = PhoneRecogniser(inventory, config.phone_channels, config.phone_dropout)
        views = chosen_views(config.views)
        self.columns = FrameColumns(views, len(PHONES))
        self.embedding = PhoneticEmbedding(
            views, inventory, self.columns, config.directions, config.embedding_dim, config.dropout
        )
        self.accent_head = build_accent_head(config)

    def forward(
        self,
        frames_BTD: Tensor,
        valid_BT: Tensor,
        voices: VoiceStatistics | None = None,
        half_B: Tensor | None = None,
    ) -> EncoderOutput:
        """Encode a batch, each row by itself.

        Args:
            frames_BTD: all columns of the schema in physical units, NaN where undefined, anything in padding.
            valid_BT: true for real frames.
            voices: what is known of each row's speaker; needed, and read, if `config.normalisation` is `speaker`.
            half_B: which half of the training speakers each row's speaker is of; see `PhoneRecogniser.posteriors`.

        Returns:
            Embedding and logits; reconstruction and its target have no columns.
        """
        return self.embed(self.statistics(frames_BTD, valid_BT, voices, half_B))

    @torch.no_grad()
    def statistics(
        self,
        frames_BTD: Tensor,
        valid_BT: Tensor,
        voices: VoiceStatistics | None = None,
        half_B: Tensor | None = None,
        recogniser: "PhoneRecogniser | FrozenRecogniser | None" = None,
    ) -> PhoneStatistics:
        """Return the sums of each row; arguments as for `forward`, and another form of the recogniser.

        They carry no gradient.
        """
        recogniser = self.recogniser if recogniser is None else recogniser
        with torch.autocast(frames_BTD.device.type, enabled=False):
            values_BTD, defined_BTD = self.normalisation(frames_BTD, valid_BT, voices)
            posterior_BTS = recogniser.posteriors(values_BTD, valid_BT, half_B)
            occupancy_BTS, entered_BTU = recogniser.smooth(posterior_BTS, valid_BT)
            columns_BTD = self.columns(values_BTD, defined_BTD, recogniser.by_phone(posterior_BTS))
            rows = zip(occupancy_BTS, columns_BTD.to(occupancy_BTS.dtype), entered_BTU, strict=True)
            return join([sum_frames(*row) for row in rows])

    @torch.no_grad()
    def phones(
        self,
        frames_BTD: Tensor,
        valid_BT: Tensor,
        voices: VoiceStatistics | None = None,
        half_B: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the probability of each phone at each frame, P as in `PHONES`; arguments as for `forward`.

        Returns:
            alone_BTP: what the heads believe of each frame by itself.
            decoded_BTP: what is probable given the whole utterance.
        """
        with torch.autocast(frames_BTD.device.type, enabled=False):
            values_BTD, _ = self.normalisation(frames_BTD, valid_BT, voices)
            posterior_BTS = self.recogniser.posteriors(values_BTD, valid_BT, half_B)
            occupancy_BTS, _ = self.recogniser.smooth(posterior_BTS, valid_BT)
            return self.recogniser.by_phone(posterior_BTS), self.recogniser.by_phone(occupancy_BTS)

    def embed(self, statistics: PhoneStatistics) -> EncoderOutput:
        """Embed rows of sums: utterances, or groups of a speaker's utterances.

        Args:
            statistics: of R rows.

        Returns:
            As `forward`, a row each.
        """
        embedding_RE = self.embedding(statistics)
        nothing_R10 = embedding_RE.new_zeros(len(embedding_RE), 1, 0)
        return EncoderOutput(
            embedding_BE=embedding_RE,
            accent_logits_BA=self.accent_head(embedding_RE),
            reconstruction_BTD=nothing_R10,
            target_BTD=nothing_R10,
            target_mask_BTD=nothing_R10.bool(),
            fusion_weights_F=self.embedding.weights(),
            family_D=torch.zeros(0, dtype=torch.long, device=embedding_RE.device),
        )

    def set_normalisation(self, mean_D: Any, std_D: Any) -> None:
        """Take over the column statistics of the training speakers; as `EnhancedAccentEncoder.set_normalisation`."""
        self.normalisation.set(mean_D, std_D)

    def set_accents(self, names: Sequence[str]) -> None:
        """Make the accent head tell these accents apart; as `EnhancedAccentEncoder.set_accents`."""
        if tuple(names) == self.config.accents:
            return
        known = self.config.accents
        self.config = dataclasses.replace(self.config, accents=tuple(names))
        self.accent_head = grown_head(self.accent_head, known, self.config)

    def fusion_weights(self) -> dict[str, float]:
        """Return the share of each view by name; they sum to one."""
        return dict(zip((view.name for view in self.embedding.views), self.embedding.weights().tolist(), strict=True))
