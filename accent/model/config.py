"""What an encoder is made of: feature families, sizes, labels.  Costs nothing; imports no torch.

The field defaults are the preset `base`.  `accent.configuration.load(ModelConfig, {"preset": "tiny"})` and
`ModelConfig.from_preset("tiny")` start from another one; fields given beside it win.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from accent.features.schema import FAMILY_NAMES

L2_ARCTIC_ACCENTS: tuple[str, ...] = ("Arabic", "Hindi", "Korean", "Mandarin", "Spanish", "Vietnamese")
"""First languages of the speakers of L2-ARCTIC."""


VIEW_NAMES: tuple[str, ...] = (
    "spectrum",
    "formants",
    "voice",
    "spectrum_in_context",
    "formants_in_context",
    "voice_in_context",
    "confusion",
    "confusion_in_context",
    "duration",
)
"""Tables of a speaker's speech that the branch `phones` can compare; see `accent.model.phonetic.views`."""

Mode = Literal["corpus", "speaker", "utterance"]
"""What a value is measured against."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and labels of an encoder: `EnhancedAccentEncoder`, or `PhoneticEncoder` for the branch `phones`."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "tiny": {"hidden": 48, "blocks": 2, "layers": 2, "heads": 4, "embedding_dim": 64, "subsampling": 4},
        "base": {},
        "large": {"hidden": 512, "blocks": 6, "layers": 9, "heads": 8, "embedding_dim": 256},
        "phonetic": {
            "branch": "phones",
            "normalisation": "speaker",
            "embedding_dim": 16,
            "dropout": 0.3,
            "accent_scale": 4.0,
        },
    }

    preset: str = "base"
    """Name of the settings to start from: tiny (two CPU cores), base, large, or phonetic (statistics by phone)."""
    branch: Literal["frames", "phones"] = "frames"
    """What the embedding is made of: frames through a network and a transformer, or statistics by phone."""
    families: tuple[str, ...] = FAMILY_NAMES
    """Feature families the encoder reads and reconstructs; at least one of the schema's."""
    normalisation: Mode = "corpus"
    """What a value is measured against: all training speakers (corpus), its speaker's own voice (speaker: it must be
    known which recordings are of one voice), or the utterance's own frames (in training those of the crop)."""
    deltas: int = 2
    """Orders of slopes over time that come beside the columns of the `delta_families`: 0, 1 or 2."""
    delta_families: tuple[str, ...] = ("mfcc",)
    """Families that get slopes, of those in `families`; customary are mfcc, or mel and mfcc."""
    accents: tuple[str, ...] = L2_ARCTIC_ACCENTS
    """Names of the accents that the accent head tells apart, in label order."""
    embedding_dim: int = 192
    """Length of the embedding vector."""
    hidden: int = 256
    """Channels of every family encoder and of the transformer."""
    blocks: int = 4
    """Residual blocks of the mel and prosody encoders; the other families have half as many, at least one."""
    kernel: int = 3
    """Frames that a residual block's convolution spans before dilation; odd."""
    layers: int = 6
    """Transformer layers."""
    heads: int = 4
    """Attention heads of a transformer layer; must divide `hidden` into even parts."""
    subsampling: int = 2
    """Frames of 10 ms that one position of the transformer stands for."""
    dropout: float = 0.1
    """Share of the activations dropped in training, in blocks and transformer layers."""
    accent_scale: float = 16.0
    """Factor from cosine similarity to accent logit."""
    units: tuple[str, ...] = ()
    """Phones in their left contexts that the branch `phones` tells apart; found in the training alignments."""
    views: tuple[str, ...] = (
        "spectrum",
        "spectrum_in_context",
        "formants_in_context",
        "voice_in_context",
        "confusion",
        "confusion_in_context",
        "duration",
    )
    """Tables of a speaker's speech that the branch `phones` compares; those in context need many training speakers."""
    phone_channels: int = 128
    """Channels of a phone head."""
    phone_dropout: float = 0.15
    """Share of a phone head's activations dropped in training."""
    directions: int = 512
    """Principal directions of the training speakers between statistics by phone and embedding."""

    def __post_init__(self) -> None:
        """Refuse impossible values, each in one sentence that begins with the key."""
        if self.preset not in self.PRESETS:
            raise ValueError(f"preset: '{self.preset}' is not one of {', '.join(self.PRESETS)}")
        sizes = self.PRESETS[self.preset]
        if sizes and all(getattr(self, key) == getattr(ModelConfig, key) for key in sizes):
            # The constructor alone cannot tell a default from a choice, so it would build `base` under another name.
            raise ValueError(f"preset: write ModelConfig.from_preset('{self.preset}') to get its sizes")
        for key in ("families", "delta_families"):
            given = getattr(self, key)
            if not set(given) <= set(FAMILY_NAMES) or len(set(given)) != len(given):
                allowed = f"allowed is each at most once of {', '.join(FAMILY_NAMES)}"
                raise ValueError(f"{key}: {', '.join(given)} given; {allowed}")
        if not self.views or not set(self.views) <= set(VIEW_NAMES) or len(set(self.views)) != len(self.views):
            given = ", ".join(self.views) or "nothing"
            raise ValueError(f"views: {given} given; allowed is each at most once of {', '.join(VIEW_NAMES)}")
        if not self.families:
            raise ValueError(f"families: nothing given; at least one is allowed of {', '.join(FAMILY_NAMES)}")
        if self.normalisation not in get_args(Mode):
            raise ValueError(f"normalisation: '{self.normalisation}' is not one of {', '.join(get_args(Mode))}")
        if not 0 <= self.deltas <= 2:
            raise ValueError(f"deltas: {self.deltas} given; 0, 1 or 2 is allowed")
        if not self.accents or len(set(self.accents)) != len(self.accents):
            raise ValueError(f"accents: {', '.join(self.accents) or 'nothing'} given; at least one, each once")
        for key in (
            "embedding_dim",
            "hidden",
            "blocks",
            "layers",
            "heads",
            "subsampling",
            "phone_channels",
            "directions",
        ):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: {getattr(self, key)} given; at least 1 is allowed")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel: {self.kernel} given; an odd number of frames is allowed")
        if self.hidden % (2 * self.heads):
            raise ValueError(f"heads: {self.heads} given; twice its value must divide hidden = {self.hidden}")
        for key in ("dropout", "phone_dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise ValueError(f"{key}: {getattr(self, key)} given; 0 up to, but not, 1 is allowed")
        if self.branch not in ("frames", "phones"):
            raise ValueError(f"branch: '{self.branch}' is not one of frames, phones")
        if self.accent_scale <= 0:
            raise ValueError(f"accent_scale: {self.accent_scale} given; it must be positive")

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> "ModelConfig":
        """Return a preset's sizes with some fields changed.

        Args:
            preset: a key of `PRESETS`.
            **changes: fields that differ from the preset.

        Returns:
            The configuration.

        Raises:
            ValueError: no such preset, or an impossible value.
        """
        return cls(preset=preset, **{**cls.PRESETS.get(preset, {}), **changes})

    def slope_orders(self, family: str) -> int:
        """Return how many orders of slopes over time come beside a family's columns."""
        return self.deltas if family in self.delta_families else 0

    @property
    def ordered_views(self) -> tuple[str, ...]:
        """The views in the order of `VIEW_NAMES`, whatever order they were given in."""
        return tuple(name for name in VIEW_NAMES if name in self.views)

    @property
    def ordered_families(self) -> tuple[str, ...]:
        """The families in storage order, whatever order they were given in."""
        return tuple(name for name in FAMILY_NAMES if name in self.families)
