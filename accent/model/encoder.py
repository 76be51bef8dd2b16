"""The encoder, whole: feature families -> family encoders -> fusion -> transformer -> pooling -> embedding.

    frames [B, T, D], NaN where undefined
      normalisation       values around zero, and a mask
      family encoders     one a family, H channels at 100 frames a second; some look at slopes over time too
      fusion              one readable weight a family; then `subsampling` frames become one position
      transformer         over time
      pooling             attention-weighted mean and deviation -> embedding of length 1 -> accent logits
      reconstruction      every family's frames again, from the transformer's positions

An utterance's embedding is the same alone and in any batch, whatever the padding.

Shapes: B batch rows, T frames, D columns, U transformer positions, H hidden channels, E embedding, A accents,
F families.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from accent.features.schema import N_COLUMNS, family_slices
from accent.model.config import ModelConfig
from accent.model.families import FAMILY_ENCODERS
from accent.model.fusion import Fusion, Subsampling
from accent.model.heads import Reconstruction, build_accent_head, grown_head
from accent.model.layers import full_precision
from accent.model.normalisation import Normalisation, VoiceStatistics
from accent.model.pooling import EmbeddingProjection, build_pooling
from accent.model.transformer import Transformer


class EncoderOutput(NamedTuple):
    """What a forward pass returns; D counts the columns of the configured families, in storage order."""

    embedding_BE: Tensor
    """Unit length, float32 or better."""
    accent_logits_BA: Tensor
    """Of `config.accents`, in their order."""
    reconstruction_BTD: Tensor
    """The features predicted, in normalised units."""
    target_BTD: Tensor
    """The normalised features, detached; 0 where undefined."""
    target_mask_BTD: Tensor
    """True where a real frame has a value."""
    fusion_weights_F: Tensor
    """Share of each family, summing to one."""
    family_D: Tensor
    """Position among the configured families that each column belongs to."""


class EnhancedAccentEncoder(nn.Module):
    """Accent embeddings from frame-level features of speech.

    Args:
        config: sizes, families and accents; the preset `base` if left out.

    Example:
        >>> import torch
        >>> from accent.features.schema import N_COLUMNS
        >>> encoder = EnhancedAccentEncoder(ModelConfig.from_preset("tiny")).eval()
        >>> output = encoder(torch.randn(2, 300, N_COLUMNS), torch.ones(2, 300, dtype=torch.bool))
        >>> tuple(output.embedding_BE.shape)
        (2, 64)
    """

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = config if config is not None else ModelConfig()
        slices = {name: family_slices()[name] for name in self.config.ordered_families}
        columns = {name: part.stop - part.start for name, part in slices.items()}
        hidden, dropout = self.config.hidden, self.config.dropout

        self.normalisation = Normalisation(N_COLUMNS, self.config.normalisation)
        self.families = nn.ModuleDict(
            {
                name: FAMILY_ENCODERS[name](self.config, count, self.config.slope_orders(name))
                for name, count in columns.items()
            }
        )
        self.fusion = Fusion(len(columns), hidden)
        self.subsampling = Subsampling(hidden, self.config.subsampling)
        self.transformer = Transformer(hidden, self.config.layers, self.config.heads, dropout)
        self.pooling = build_pooling(self.config)
        self.embedding = EmbeddingProjection(*self.pooling.statistics, self.config.embedding_dim)
        self.accent_head = build_accent_head(self.config)
        self.reconstruction = Reconstruction(self.config, columns)

        self.columns_D: Tensor
        self.family_D: Tensor
        chosen = [column for part in slices.values() for column in range(part.start, part.stop)]
        owner = [index for index, count in enumerate(columns.values()) for _ in range(count)]
        self.register_buffer("columns_D", torch.tensor(chosen), persistent=False)
        self.register_buffer("family_D", torch.tensor(owner), persistent=False)
        self._widths = list(columns.values())

    def forward(
        self,
        frames_BTD: Tensor,
        valid_BT: Tensor,
        voices: VoiceStatistics | None = None,
        hidden_BT: Tensor | None = None,
    ) -> EncoderOutput:
        """Encode a batch.

        Args:
            frames_BTD: all columns of the schema in physical units, NaN where undefined, anything in padding.
            valid_BT: true for real frames.
            voices: what is known of each row's speaker; needed, and read, if `config.normalisation` is `speaker`.
            hidden_BT: true for frames that the network sees as undefined; what the reconstruction is compared with
                still has them.  None hides nothing.

        Returns:
            Embedding, logits, reconstruction and what it is compared with.  A row without a real frame gives finite
            numbers without meaning.

        Raises:
            ValueError: the voices are needed and missing.
        """
        all_values_BTD, all_defined_BTD = self.normalisation(frames_BTD, valid_BT, voices)
        target_BTD = all_values_BTD.index_select(-1, self.columns_D).detach()
        defined_BTD = all_defined_BTD.index_select(-1, self.columns_D)

        seen_BTD = defined_BTD
        if hidden_BT is not None:
            seen_BTD = defined_BTD & ~hidden_BT.unsqueeze(-1)
        # The weights may have been cast to half precision as a whole; the statistics never are.
        values_BTD = target_BTD.to(self.fusion.logits_F.dtype)
        if hidden_BT is not None:
            values_BTD = values_BTD.masked_fill(hidden_BT.unsqueeze(-1), 0.0)
        streams = [
            encoder(values, defined, valid_BT)
            for encoder, values, defined in zip(
                self.families.values(),
                values_BTD.split(self._widths, dim=-1),
                seen_BTD.split(self._widths, dim=-1),
                strict=True,
            )
        ]
        fused_BTH, fusion_weights_F = self.fusion(streams, valid_BT)
        positions_BUH, valid_BU = self.subsampling(fused_BTH, valid_BT)
        positions_BUH = self.transformer(positions_BUH, valid_BU)
        embedding_BE = self.embedding(self.pooling(positions_BUH, valid_BU))
        return EncoderOutput(
            embedding_BE=embedding_BE,
            accent_logits_BA=self.accent_head(embedding_BE),
            reconstruction_BTD=full_precision(self.reconstruction(positions_BUH, frames_BTD.shape[1])),
            target_BTD=target_BTD,
            target_mask_BTD=defined_BTD,
            fusion_weights_F=fusion_weights_F,
            family_D=self.family_D,
        )

    def set_normalisation(self, mean_D: Any, std_D: Any) -> None:
        """Take over the column statistics of the training speakers.

        Args:
            mean_D: mean of every column of the schema, in its unit.
            std_D: standard deviation of every column.  For F0, if `config.normalisation` is not `corpus`, both are in
                semitones: see `Normalisation.set`.

        Raises:
            ValueError: another number of columns than the schema's.
        """
        self.normalisation.set(mean_D, std_D)

    def set_accents(self, names: Sequence[str]) -> None:
        """Make the accent head tell these accents apart.

        The head keeps the directions of the accents that it knows; those of others are fresh.  Call it before the
        optimizer is made.

        Args:
            names: accents in label order.

        Raises:
            ValueError: no accent, or one named twice.
        """
        if tuple(names) == self.config.accents:
            return
        known = self.config.accents
        self.config = dataclasses.replace(self.config, accents=tuple(names))
        self.accent_head = grown_head(self.accent_head, known, self.config)

    def fusion_weights(self) -> dict[str, float]:
        """Return the share of each family by name; they sum to one."""
        shares = self.fusion.weights().tolist()
        return dict(zip(self.config.ordered_families, shares, strict=True))
