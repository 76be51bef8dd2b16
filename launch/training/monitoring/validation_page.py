"""What TensorBoard shows of a validation's utterances: confusion matrix, map, lengths, and the projector's table.

The map has the two principal axes of the embeddings of that validation.  The projector has the newest validation only,
with accent, speaker, prompt and sex of each utterance; its files are replaced as a whole.

Cost: drawing two pictures at each validation; the first adds the import of matplotlib.

Shape legend: N validation utterances, E embedding, A accents.
"""

import gc
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector import ProjectorConfig
from torch.utils.tensorboard import SummaryWriter

from accent.files import replacing, writable_folder, write_text
from accent.metrics.estimate import thin
from launch.training.validation import ValidationUtterances
from shards.shard_set.manifest import ShardSet

MOST_POINTS = 5_000
"""Utterances in the projector."""
COLUMNS = ("accent", "speaker", "prompt", "sex")


def write_validation(
    writer: SummaryWriter, folder: Path, utterances: ValidationUtterances, shard_set: ShardSet, step: int
) -> None:
    """Write all of it.

    Args:
        writer: TensorBoard's.
        folder: where its files are.
        utterances: of a validation of the accent task.
        shard_set: where they come from.
        step: steps done.

    Raises:
        AccentError: the projector's files cannot be written.
    """
    # Imported here: matplotlib takes a second, and only this needs it.
    from launch.reporting.training_figures import confusion_figure, map_figure, pixels

    extraction = utterances.extraction
    accent_N = [shard_set.accents[number] for number in extraction.accent_N]
    for name, figure in (
        ("confusion", confusion_figure(utterances.confusion_AA, utterances.accents)),
        ("map", map_figure(principal_axes(extraction.embedding_NE), accent_N)),
    ):
        writer.add_image(f"validation/{name}", pixels(figure), step, dataformats="HWC")
    # Figures are cycles of megabytes, which Python would keep until it next looks at its oldest objects.
    gc.collect()
    writer.add_histogram("validation/embedding_length", utterances.length_N, step)
    write_projector(folder, utterances, shard_set)


def principal_axes(embedding_NE: np.ndarray) -> np.ndarray:
    """Return embeddings on their two principal axes, `[N, 2]`; signs are such that the maps of two steps resemble."""
    centred_NE = embedding_NE - embedding_NE.mean(0)
    _, _, axis_KE = np.linalg.svd(centred_NE, full_matrices=False)
    axis_2E = axis_KE[:2]
    largest_2 = np.abs(axis_2E).argmax(1)
    return centred_NE @ (axis_2E * np.sign(axis_2E[[0, 1], largest_2])[:, None]).T


def write_projector(folder: Path, utterances: ValidationUtterances, shard_set: ShardSet) -> None:
    """Write the projector's table of embeddings and what is known of each.

    Args:
        folder: TensorBoard's.
        utterances: of a validation.
        shard_set: where they come from.

    Raises:
        AccentError: a file cannot be written.
    """
    extraction = utterances.extraction
    kept_N = thin(extraction.speaker_N, MOST_POINTS, seed=0)
    own = folder / "projector"
    writable_folder(own)
    with replacing(own / "tensors.tsv") as file:
        np.savetxt(file, extraction.embedding_NE[kept_N], fmt="%.6g", delimiter="\t")
    rows = [COLUMNS]
    prompts = shard_set.index["prompt"][extraction.sample_N]
    for row in kept_N:
        speaker = shard_set.manifest.speakers[extraction.speaker_N[row]]
        rows.append((speaker.accent, speaker.name, shard_set.prompts[prompts[row]], speaker.sex or "unknown"))
    # The projector knows no quotes: a tab or the end of a line in a name becomes a space.
    lines = ["\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows]
    write_text(own / "metadata.tsv", "".join(lines))
    config = ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name, entry.tensor_path = "newest validation", "projector/tensors.tsv"
    entry.metadata_path = "projector/metadata.tsv"
    write_text(folder / "projector_config.pbtxt", text_format.MessageToString(config))
