"""What a baseline is: something that learns from a fold's training speakers and answers groups of utterances."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from accent.metrics.groups import EmbedGroups
from launch.evaluation.utterances import Utterances
from shards.splits.split import Split


@dataclass(frozen=True, eq=False)
class FittedBaseline:
    """A baseline after it has learnt from one fold."""

    embed_groups: EmbedGroups
    """Answers groups of utterance numbers with calibrated logits."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was chosen inside the training speakers."""


class Baseline(Protocol):
    """A system that accent embeddings are compared with."""

    name: str
    """Short name, the key in the JSON."""
    title: str
    """What the table calls it."""
    seeded: bool
    """Whether another seed gives another result."""

    def fit(self, utterances: Utterances, split: Split, fold: int, seed: int) -> FittedBaseline:
        """Learn from a fold.

        Args:
            utterances: all utterances; those of the test speakers may be looked at for nothing but their answer.
            split: who trains and who is tested.
            fold: the number of the fold.
            seed: of everything random.

        Returns:
            The fitted baseline.
        """
        ...
