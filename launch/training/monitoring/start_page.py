"""What TensorBoard says of a run besides its curves: hyperparameters, configuration, start line.

The hyperparameters are attached to the run itself, so that the page HPARAMS shows the newest value of its curves: at
the end, the final metrics.  Of several runs it shows first what differs among them.  Cost: a few kB a start.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

LONGEST_LIST = 12
"""Entries of a list that is shown whole; of a longer one its length is shown."""


def flat_settings(values: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """Return settings as trackers take them: numbers, truth values and words.

    Args:
        values: the configuration, flat.

    >>> flat_settings({"optimizer.lr": 0.1, "optimizer.betas": [0.9, 0.98], "chunk_rows": None})
    {'optimizer.lr': 0.1, 'optimizer.betas': '0.9, 0.98', 'chunk_rows': 'null'}
    """
    return {key: _setting(value) for key, value in values.items()}


def write_hyperparameters(writer: SummaryWriter, settings: Mapping[str, Any]) -> None:
    """Attach hyperparameters to the run; TensorBoard keeps the first it meets, so a resumed run may write them again.

    Args:
        writer: TensorBoard's.
        settings: of `flat_settings`.
    """
    # Without torch's summary of the experiment, which would be that of one run only: TensorBoard makes its own of all.
    _, session, _ = hparams(dict(settings), {})
    writer._get_file_writer().add_summary(session)


def write_end(writer: SummaryWriter) -> None:
    """Mark the run as finished on the page of hyperparameters."""
    writer._get_file_writer().add_summary(hparams({}, {})[2])


def write_texts(writer: SummaryWriter, configuration: Mapping[str, Any], start: Sequence[str], step: int) -> None:
    """Write the page TEXT: the configuration as YAML, and the lines that a start prints.

    Args:
        writer: TensorBoard's.
        configuration: nested.
        start: the start line, warnings and notes.
        step: steps done before this start.
    """
    yaml = OmegaConf.to_yaml(OmegaConf.create(dict(configuration)))
    writer.add_text("run/configuration", _verbatim(yaml), step)
    writer.add_text("run/start", _verbatim("\n".join(start)), step)


def _verbatim(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _setting(value: Any) -> str | float | bool:
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(str, value)) if len(value) <= LONGEST_LIST else f"{len(value)} entries"
    return "null" if value is None else str(value)
