"""A phonetic encoder that is not trained any more: what its weights decide once is made once.

The chain is made ready for decoding, both heads are evaluated side by side, and the map is folded into the directions.
The answers are those of the encoder, to rounding; several threads may use one.

Cost: a pass over the directions and a copy of the heads, once; then no embedding reads the directions.

Shapes: B batch rows, T frames, D columns, R rows of sums, S states, U units, P phones.
"""

import torch
from torch import Tensor

from accent.model.normalisation import VoiceStatistics
from accent.model.phonetic.both_heads import BothHeads
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.phone_head import PhoneHead
from accent.model.phonetic.recogniser import PhoneRecogniser
from accent.model.phonetic.statistics import PhoneStatistics


class FrozenRecogniser:
    """A `PhoneRecogniser` in use; arguments and results are those of its methods of the same names.

    Args:
        recogniser: its weights and its chain must not change from now on.
    """

    def __init__(self, recogniser: PhoneRecogniser) -> None:
        self._recogniser = recogniser
        self._heads = BothHeads([head for head in recogniser.heads if isinstance(head, PhoneHead)])
        self._decoder = recogniser.decoder()

    def posteriors(self, values_BTD: Tensor, valid_BT: Tensor, half_B: Tensor | None = None) -> Tensor:
        """Return the posterior of each state at each frame by itself, `[B, T, S]`."""
        if half_B is not None:
            return self._recogniser.posteriors(values_BTD, valid_BT, half_B)
        return self._heads.states(self._recogniser.read_columns(values_BTD), valid_BT)

    def smooth(self, posterior_BTS: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is probable given each whole utterance: states `[B, T, S]` and entries into units `[B, T, U]`."""
        return self._recogniser.smooth(posterior_BTS, valid_BT, self._decoder)

    def by_phone(self, posterior_BTS: Tensor) -> Tensor:
        """Return posteriors of phones, `[B, T, P]`."""
        return self._recogniser.by_phone(posterior_BTS)


class FrozenPhoneticEncoder:
    """A `PhoneticEncoder` in use.

    Args:
        encoder: its weights must not change from now on.
    """

    def __init__(self, encoder: PhoneticEncoder) -> None:
        self.encoder = encoder
        self.recogniser = FrozenRecogniser(encoder.recogniser)
        self._embedding = encoder.embedding.folded()

    def statistics(
        self,
        frames_BTD: Tensor,
        valid_BT: Tensor,
        voices: VoiceStatistics | None = None,
        half_B: Tensor | None = None,
    ) -> PhoneStatistics:
        """Return the sums of each row; arguments as for `PhoneticEncoder.forward`."""
        return self.encoder.statistics(frames_BTD, valid_BT, voices, half_B, self.recogniser)

    @torch.no_grad()
    def embed(self, statistics: PhoneStatistics) -> tuple[Tensor, Tensor]:
        """Embed rows of sums.

        Args:
            statistics: of R rows.

        Returns:
            Embeddings, a row each, of unit length; and the accent head's logits.
        """
        embedding_RE = self._embedding(statistics)
        return embedding_RE, self.encoder.accent_head(embedding_RE)
