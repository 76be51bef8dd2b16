"""The shape of a batch, the length of a crop, and who reads.  Cost: none."""

from dataclasses import dataclass, field
from typing import Literal

CROPS = (300, 250, 200, 150, 100)
"""Lengths in frames that a training crop may have where none is configured."""
MOST_PADDING = 0.10
"""Share of padding in training batches up to which one of them is taken."""


@dataclass(frozen=True)
class BatchConfig:
    """What a batch holds, over all processes, and who makes it."""

    accents_per_batch: int | None = None
    """Accents in a global training batch; nothing: all of them."""
    speakers_per_accent: int = 2
    """Speakers of each accent in a batch: with two or more, each utterance meets its accent in another voice."""
    utterances_per_speaker: int = 4
    """Utterances of each speaker in a batch."""
    same_prompts: bool = False
    """Whether the speakers of an accent in a batch read the same prompts, wherever they did (`shards.sampling.sampler`
    says what is promised); utterances of a prompt that only one speaker of an accent reads then come rarely or
    never."""
    crop_frames: int | None = None
    """Length of a training crop in frames of 10 ms; shorter utterances are padded and masked.  Null: the longest
    of 300, 250, 200, 150 and 100 that leaves at most 10 % padding in the batches of this corpus, else 100."""
    evaluation_frames_per_batch: int = field(default=12_000, metadata={"resumable": True})
    """Most frames of 10 ms in one process's evaluation batch, padding counted; a longer utterance comes alone."""
    workers: int = field(default=2, metadata={"resumable": True})
    """Threads that read ahead in each training process; 0: a batch is read when it is requested."""
    verify: bool = field(default=False, metadata={"resumable": True})
    """Compare each training sample with its checksum, for which whole utterances are read and then cropped;
    evaluation does it always."""
    damaged: Literal["stop", "skip"] = field(default="stop", metadata={"resumable": True})
    """What a damaged sample does: it ends the run; or its row has no weight and is counted and logged."""

    def __post_init__(self) -> None:
        if self.crop_frames is not None and self.crop_frames < 1:
            raise ValueError(f"crop_frames: {self.crop_frames} is too small, at least 1, or null to follow the corpus")
        if self.damaged not in ("stop", "skip"):
            raise ValueError(f"damaged: '{self.damaged}' is unknown; allowed: stop, skip")
        for name in ("speakers_per_accent", "utterances_per_speaker", "evaluation_frames_per_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is too small, at least 1")
        if self.same_prompts and self.speakers_per_accent < 2:
            raise ValueError("speakers_per_accent: 1 is too small, at least 2 with same_prompts")
        if self.accents_per_batch is not None and self.accents_per_batch < 1:
            raise ValueError(f"accents_per_batch: {self.accents_per_batch} is too small, at least 1, or null for all")
        if self.workers < 0:
            raise ValueError(f"workers: {self.workers} is too small, at least 0")
