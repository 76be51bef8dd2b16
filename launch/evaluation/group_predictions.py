"""What a system says of the test speakers of one fold, from one, two, four, six and all of their utterances.

Shapes: G groups of utterances, A accents, E embedding.  Cost: one answer for each group; about 35 groups for a speaker
of six utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from accent.errors import AccentError
from accent.files import write_archive
from accent.metrics.groups import EmbedGroups, subsets_of_speakers
from launch.evaluation.utterances import Utterances, accent_of, first_of, speaker_of

SIZES = (1, 2, 4, 6)
"""Utterances that a speaker is judged by; and all of them."""


@dataclass(frozen=True, eq=False)
class GroupPredictions:
    """A system's answers; one row a group of utterances of one speaker."""

    key_G: np.ndarray
    """str: the key of the group's first utterance."""
    size_G: np.ndarray
    """int64: utterances in the group."""
    whole_G: np.ndarray
    """bool: the group holds all tested utterances of the speaker."""
    speaker_G: np.ndarray
    """str: the speaker's name."""
    accent_G: np.ndarray
    """int64: true accents, positions in `accents`."""
    logits_GA: np.ndarray
    """float32: calibrated on training speakers."""
    embedding_GE: np.ndarray
    """float32: one embedding a group."""
    accents: np.ndarray
    """str [A]: names."""

    def rows(self, chosen_G: np.ndarray) -> "GroupPredictions":
        """Return some rows."""
        columns = {field.name: getattr(self, field.name)[chosen_G] for field in fields(self) if field.name != "accents"}
        return GroupPredictions(**columns, accents=self.accents)

    def told(self) -> np.ndarray:
        """Return the likeliest accent of each group."""
        return self.logits_GA.argmax(1)

    def save(self, path: Path) -> None:
        """Write an archive; the file is there whole or not at all."""
        write_archive(path, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "GroupPredictions":
        """Read what `save` wrote.

        Raises:
            AccentError: no such archive, or a damaged one.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                return cls(**{field.name: archive[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise AccentError(f"{path}: no predictions ({error}); remove the file and run the command again") from error


def predict_groups(
    embed_groups: EmbedGroups, utterances: Utterances, tested: np.ndarray, seed: int = 0
) -> GroupPredictions:
    """Ask a system about every tested utterance, about subsets of each speaker's utterances, and about all of them.

    Args:
        embed_groups: the system.
        utterances: where the utterances are.
        tested: numbers of the tested utterances.
        seed: of the subsets; the same subsets for every system.

    Returns:
        The answers.
    """
    groups: dict[tuple[int, ...], bool] = {}
    for rows in utterances.wholes(tested):
        groups[tuple(rows.tolist())] = True
    for size in SIZES:
        for rows in subsets_of_speakers(utterances.speaker_N[tested], size, seed=seed):
            groups.setdefault(tuple(tested[rows].tolist()), False)
    asked: Sequence[np.ndarray] = [np.array(rows) for rows in groups]
    answer = embed_groups(asked)
    return GroupPredictions(
        key_G=utterances.key_N[first_of(asked)],
        size_G=np.array([len(rows) for rows in asked]),
        whole_G=np.array(list(groups.values())),
        speaker_G=speaker_of(utterances, asked),
        accent_G=accent_of(utterances, asked),
        logits_GA=answer.logits_GA.astype(np.float32),
        embedding_GE=answer.embedding_GE.astype(np.float32),
        accents=np.array(utterances.accents),
    )


def concatenate(parts: Sequence[GroupPredictions]) -> GroupPredictions:
    """Join the predictions of folds; embeddings of different folds lie in different spaces and are left empty."""
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(GroupPredictions)
        if field.name not in ("accents", "embedding_GE")
    }
    empty_GE = np.zeros((len(columns["key_G"]), 0), np.float32)
    return GroupPredictions(**columns, embedding_GE=empty_GE, accents=parts[0].accents)
