"""Export a run: one folder for `accent.load`, for other programs (torch.export, ONNX, int8), and for a model hub.

What is exported is checked before the folder gets its name: onnxruntime and the saved torch program answer as the model
does, to 1e-4, on real speech of the run's shards; what int8 loses on the same speech is measured and written down.

    OUT/  model.safetensors  model.json     what accent.load reads, and what was measured:
          calibration.json  profiles.safetensors
          model.pt2  model.onnx  model.int8.onnx              the network, see accent.inference.onnx_export
          export.json  README.md                              what was checked; the model card

Cost: a minute or two, most of it tracing.
"""

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from accent.configuration import load
from accent.errors import AccentError
from accent.files import replace_folder, writable_folder, write_bytes, write_text
from accent.inference.calibration import CALIBRATION_NAME
from accent.inference.model_file import DESCRIPTION_NAME, WEIGHTS_NAME, find_weights, load_model
from accent.inference.onnx_export import INT8_NAME, ONNX_NAME, PROGRAM_NAME, network_inputs, network_of, write_networks
from accent.inference.profiles import PROFILES_NAME
from accent.model.build import AccentEncoder
from accent.strict_json import to_json
from launch.applications.model_card import model_card
from launch.extraction.compatibility import check_features
from launch.run_config import RunConfig
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.shard_set.select import select_samples
from shards.splits.split import Split

LARGEST_DIFFERENCE = 1e-4
"""Of an exported network from the model."""
MOST_RECORDINGS = 60
"""Of real speech, to check with."""


@dataclass(frozen=True)
class ExportReport:
    """What was checked."""

    branch: str
    outputs: tuple[str, ...]
    """Of the network."""
    recordings: int
    """Real recordings that the checks ran on."""
    largest_difference: float
    """Of any output of onnxruntime or of the saved torch program from the model's."""
    int8_mean_cosine: float
    """Between float32's and int8's first output: embeddings, or posteriors of states at a frame."""
    int8_same_answer: float
    """Share of recordings (frames, for phones) whose likeliest accent (phone) is the same in int8."""
    accuracy_float32: float | None
    """Share of these recordings whose accent is told; None for the branch `phones`."""
    accuracy_int8: float | None
    bytes_float32: int
    bytes_int8: int


def export_run(run: Path, output: Path, shards: Path | None = None) -> ExportReport:
    """Export a run's model and check what was exported.

    Args:
        run: the run folder.
        output: the folder to make; one that exists is replaced at the end, when everything is checked.
        shards: the shard set of the run's speakers; the one that `config.yaml` names if not given.

    Returns:
        What was checked.

    Raises:
        AccentError: no model, no shards, an output that holds something else, or a network that does not answer as the
            model does.
    """
    model, feature_config = load_model(run)
    weights = find_weights(run)
    shard_set = ShardSet.open(shards if shards is not None else Path(load(RunConfig, run / "config.yaml").shards))
    check_features(shard_set, feature_config)
    parts = Split.load(run / "split.json")
    if output.exists() and any(output.iterdir()) and not (output / "export.json").is_file():
        raise AccentError(f"{output}: holds something that is no exported model; name another folder")
    writable_folder(output.parent)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for name in (WEIGHTS_NAME, DESCRIPTION_NAME, CALIBRATION_NAME, PROFILES_NAME):
            if (weights.parent / name).is_file():
                shutil.copy2(weights.parent / name, partial / name)
        with _without_remarks():
            outputs = write_networks(model, partial)
        report = _checked(model, partial, shard_set, parts, outputs)
        write_bytes(partial / "export.json", to_json(asdict(report), indent=2))
        write_text(partial / "README.md", model_card(run, partial, model, shard_set, parts, report))
        replace_folder(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return report


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep from the user what the exporters remark on packages that are not needed and on their own future."""
    loggers = [logging.getLogger(name) for name in (None, "torch.onnx")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _checked(
    model: AccentEncoder, folder: Path, shard_set: ShardSet, parts: Split, outputs: tuple[str, ...]
) -> ExportReport:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    sessions = [
        onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
        for name in (ONNX_NAME, INT8_NAME)
    ]
    network = network_of(model)
    with warnings.catch_warnings():
        # torch reads the weights from a buffer that it may not write, and warns of it; nothing writes there.
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        program = torch.export.load(folder / PROGRAM_NAME).module()
    largest, cosines, same, right = 0.0, [], [], []
    for frames_BTD, valid_BT, accents in _real_speech(shard_set, parts):
        inputs = network_inputs(model, frames_BTD, valid_BT)
        with torch.inference_mode():
            given = [torch.from_numpy(value) for value in inputs.values()]
            expected, loaded = ([one.numpy() for one in part(*given)] for part in (network, program))
        exact, rounded = (session.run(None, inputs) for session in sessions)
        real = valid_BT if model.config.branch == "phones" else np.ones(len(frames_BTD), bool)
        for mine, *others in zip(expected, exact, loaded, strict=True):
            largest = max(largest, *(float(np.abs(mine[real] - other[real]).max()) for other in others))
        one, other = expected[0][real], rounded[0][real]
        norm = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        cosines.append((one * other).sum(-1) / norm)
        told, told_int8 = (answer[1][real].argmax(-1) for answer in (expected, rounded))
        same.append(told == told_int8)
        if model.config.branch == "frames":
            names = np.array(model.config.accents)
            right.append([names[told] == accents, names[told_int8] == accents])
    if not largest <= LARGEST_DIFFERENCE:
        raise AccentError(
            f"{folder}: onnxruntime differs from torch by {largest:.2g}, more than {LARGEST_DIFFERENCE}; "
            "nothing was exported; try other versions of torch and onnxruntime"
        )
    accuracy = np.concatenate(right, axis=1).mean(1) if right else None
    return ExportReport(
        branch=model.config.branch,
        outputs=outputs,
        recordings=_count(shard_set, parts),
        largest_difference=largest,
        int8_mean_cosine=float(np.concatenate(cosines).mean()),
        int8_same_answer=float(np.concatenate(same).mean()),
        accuracy_float32=None if accuracy is None else float(accuracy[0]),
        accuracy_int8=None if accuracy is None else float(accuracy[1]),
        bytes_float32=_size(folder, ONNX_NAME),
        bytes_int8=_size(folder, INT8_NAME),
    )


def _size(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{name}*"))


def _samples(shard_set: ShardSet, parts: Split) -> np.ndarray:
    """Return numbers of recordings of speakers that validated, or tested, or else trained; evenly taken."""
    for names in (parts.validation, parts.test, parts.train):
        here = sorted(set(names) & set(shard_set.speakers))
        if here:
            sample_N = select_samples(shard_set, here)
            return sample_N[np.linspace(0, len(sample_N) - 1, min(len(sample_N), MOST_RECORDINGS)).astype(int)]
    raise AccentError(f"{shard_set.place}: holds no speaker of the run's split; name the shards it was trained on")


def _count(shard_set: ShardSet, parts: Split) -> int:
    return len(_samples(shard_set, parts))


def _real_speech(shard_set: ShardSet, parts: Split) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return batches of one, two and three recordings: frames, which are real, and the accents' names."""
    reader = ShardReader(shard_set)
    sample_N = _samples(shard_set, parts)
    accent_N = np.array(shard_set.accents)[shard_set.index["accent"][sample_N]]
    batches: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    start = 0
    while start < len(sample_N):
        rows = slice(start, start + 1 + len(batches) % 3)
        frames = [np.asarray(reader.frames(int(sample)), np.float32) for sample in sample_N[rows]]
        longest = max(map(len, frames))
        frames_BTD = np.stack([np.pad(one, ((0, longest - len(one)), (0, 0))) for one in frames])
        valid_BT = np.arange(longest) < np.array([len(one) for one in frames])[:, None]
        batches.append((frames_BTD, valid_BT, accent_N[rows]))
        start = rows.stop
    return batches
