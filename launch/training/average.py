"""One model of several checkpoints: the mean of the weights of the best validations.

Of few validation speakers the best checkpoint is chosen by chance; a mean of several depends less on that.  What it is
worth has not been measured here.  Weights are added in float64; whole numbers (counters) are those of the best.

    accent average RUN --best 5     needs checkpoints.keep_best=5 in training

Sources: Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization"; the practice of
speech toolkits to average the best checkpoints.  Cost: reading the weights of each checkpoint once.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from accent.configuration import load
from accent.errors import AccentError
from accent.files import replace_folder, temporary_name, writable_folder, write_text
from accent.inference.model_file import load_model, save_model
from launch.run_config import RunConfig
from launch.training.engines.engine import WEIGHTS
from launch.training.initial import HEADS_SPLIT
from launch.training.saved_state import best_steps, check_files, complete_checkpoints, read_state
from launch.training.tasks import phone_task, reconstruction_task
from launch.training.validation import SELECTION

RECORD = "average.json"
_SELECTIONS = {
    "accent": SELECTION,
    "phones": phone_task.SELECTION,
    "reconstruction": reconstruction_task.SELECTION,
}


class Average(NamedTuple):
    """What was averaged."""

    metric: str
    """By which the best were chosen."""
    scores: dict[int, float]
    """By step, the best first."""


def average_run(run: Path, best: int, output: Path) -> Average:
    """Average the weights of a run's best checkpoints into a folder that commands take like a run.

    Args:
        run: the run's folder; nothing in it changes.
        best: how many checkpoints.
        output: folder to make, with model, configuration and split; an earlier average there is replaced.

    Returns:
        What was averaged.

    Raises:
        AccentError: no run, too few checkpoints with a validation, a damaged one, or a folder of something else.
    """
    if not (run / "config.yaml").is_file():
        raise AccentError(f"{run}: no run folder (no config.yaml); name the folder of a training run")
    if output.exists() and not (output / RECORD).is_file():
        raise AccentError(f"{output}: exists, and is no average of checkpoints; name another folder with --output")
    metric = _SELECTIONS[load(RunConfig, run / "config.yaml").objective]
    folders = {int(path.name.removeprefix("step_")): path for path in complete_checkpoints(run / "checkpoints")}
    if not folders:
        raise AccentError(f"{run / 'checkpoints'}: no checkpoint here; train the run first")
    history = read_state(folders[max(folders)]).progress.history
    there = [entry for entry in history if int(entry["step"]) in folders]
    steps = best_steps(there, metric, best)
    if len(steps) < best:
        raise AccentError(
            f"--best {best}: {run / 'checkpoints'} holds {len(steps)} checkpoints with a validation; train with "
            f"checkpoints.keep_best={best}, or ask for fewer"
        )
    encoder, feature_config = load_model(run)
    mean = mean_weights(_weights(folders[step]) for step in steps)
    own = encoder.state_dict()
    # The module of phone heads has them without the encoder around; what is in no checkpoint never changes.
    encoder.load_state_dict({name: mean.get(f"encoder.{name}", mean.get(name, own[name])) for name in own})
    scores = {int(entry["step"]): entry[metric] for entry in there if metric in entry}
    average = Average(metric, {step: scores[step] for step in steps})
    _write(run, output, average, lambda folder: save_model(encoder, folder / "model", feature_config))
    return average


def mean_weights(states: Iterable[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the mean of several states of one module.

    Args:
        states: at least one, the best first; whole numbers are taken from it.

    Returns:
        Tensors by name; of floating point numbers the mean, added in float64 and stored as they came.
    """
    states = iter(states)
    first = next(states)
    sums = {name: tensor.double() for name, tensor in first.items() if tensor.is_floating_point()}
    count = 1
    for state in states:
        count += 1
        for name, total in sums.items():
            total += state[name].double()
    return {name: (sums[name] / count).to(tensor.dtype) if name in sums else tensor for name, tensor in first.items()}


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    state = read_state(folder)
    check_files(folder, state.files, state.sha256 or {}, [WEIGHTS])
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise AccentError(f"{folder / WEIGHTS}: cannot be read ({error}); ask for fewer with --best") from error


def _write(run: Path, output: Path, average: Average, save: Callable[[Path], object]) -> None:
    writable_folder(output.parent)
    written = temporary_name(output)
    try:
        written.mkdir()
        save(written)
        for name in ("config.yaml", "split.json", HEADS_SPLIT):
            if (run / name).is_file():
                shutil.copyfile(run / name, written / name)
        write_text(written / RECORD, json.dumps(average._asdict(), indent=1) + "\n")
        replace_folder(written, output)
    except OSError as error:
        raise AccentError(f"{output}: cannot be written ({error}); check free space and permissions") from error
    finally:
        shutil.rmtree(written, ignore_errors=True)
