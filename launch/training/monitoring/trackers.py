"""Where the numbers of a run go: TensorBoard, Weights & Biases, MLflow, each through its tracker of Accelerate.

    RUN/tensorboard     event files
    RUN/wandb           of `wandb`, which also sends them, unless WANDB_MODE=offline
    RUN/mlruns          of `mlflow`, unless MLFLOW_TRACKING_URI names a server or a database
    RUN/trackers.json   which run of wandb and of mlflow this is, and the steps they have been given

A resumed run goes on with the same runs.  TensorBoard forgets the points beyond the checkpoint; wandb and mlflow
cannot, so they are not given again what they have.  That is written down before it is sent: a process killed between
the two loses this one point there, and none appears twice.  Only the first process comes here.

Cost: two fsyncs a point with wandb or mlflow, none without; `wandb` and `mlflow` take seconds to import.
"""

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from torch.utils.tensorboard import SummaryWriter

from accent.errors import AccentError
from accent.files import write_text
from accent.typed_json import parse_json
from launch.missing_extra import how_to_install

RECORD = "trackers.json"
PROJECT = "accent"
"""Name of wandb's project and of mlflow's experiment, unless WANDB_PROJECT or MLFLOW_EXPERIMENT_NAME is set."""

Kind = Literal["training", "validation"]
"""Points of both kinds may belong to one step; each kind comes in the order of its steps."""


class Given(TypedDict):
    """What wandb or mlflow has been given."""

    id: str
    """Its name for this run."""
    training: int
    """Step of the newest point of this kind; 0 before the first."""
    validation: int
    """Likewise."""


class Trackers:
    """The trackers of one run, on the first process.

    Args:
        names: which.
        run: the run's folder.
        first_step: steps done before this start; TensorBoard's points beyond it are purged.
        settings: the configuration, flat, for wandb and mlflow.
        warn: prints a line.

    Raises:
        AccentError: a package that is missing, or a tracker that does not start.
    """

    def __init__(
        self,
        names: Sequence[str],
        run: Path,
        first_step: int,
        settings: Mapping[str, Any],
        warn: Callable[[str], None],
    ) -> None:
        self._warn = warn
        self._file = run / RECORD
        self._record = _read(self._file)
        self._fault: AccentError | None = None
        self._trackers: dict[str, GeneralTracker] = {}
        self.writer: SummaryWriter | None = None
        """TensorBoard's, for what the others do not get: pictures, texts, histograms."""
        for name in dict.fromkeys(names):
            known = self._record.get(name)
            self._trackers[name] = _start(name, run, first_step, None if known is None else known["id"])
            if name == "tensorboard":
                self.writer = self._trackers[name].tracker
            else:
                self._begin(name, settings)

    def log(self, kind: Kind, values: Mapping[str, float], step: int) -> None:
        """Write one point of several curves; what the disk refuses is raised by `flush`, where all processes meet."""
        for name, tracker in list(self._trackers.items()):
            if name == "tensorboard":
                self._guarded(partial(tracker.log, dict(values), step=step))
            elif step > self._record[name][kind]:
                self._record[name][kind] = step
                if self._guarded(self._write_record):
                    self._send(name, tracker, values, step)

    def flush(self) -> None:
        """Bring TensorBoard's files to the disk.

        Raises:
            AccentError: the disk refuses, or has refused since the last call.
        """
        if self.writer is not None:
            self._guarded(self.writer.flush)
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """End all of them."""
        for tracker in self._trackers.values():
            tracker.finish()
        self._trackers, self.writer = {}, None

    def _begin(self, name: str, settings: Mapping[str, Any]) -> None:
        tracker = self._trackers[name]
        known = name in self._record
        if not known:
            run = tracker.tracker
            self._record[name] = {"id": run.id if name == "wandb" else run.info.run_id, "training": 0, "validation": 0}
            self._write_record()
        if name == "wandb" or not known:
            # A parameter of mlflow is written once and for all.
            tracker.store_init_configuration(dict(settings))

    def _send(self, name: str, tracker: GeneralTracker, values: Mapping[str, float], step: int) -> None:
        try:
            tracker.log(dict(values), step=step)
        except _faults(name) as error:
            # Hours of training are worth more than a curve beside TensorBoard's.
            self._warn(f"warning: {name} gets no more of this run ({_first_line(error)})")
            del self._trackers[name]

    def _write_record(self) -> None:
        write_text(self._file, json.dumps(self._record, indent=1) + "\n")

    def _guarded(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except AccentError as error:
            self._fault = error
        except OSError as error:
            self._fault = AccentError(f"the curves cannot be written ({error}); check free space and permissions")
        else:
            return True
        return False


def _start(name: str, run: Path, first_step: int, known: str | None) -> GeneralTracker:
    """Start a tracker; `known` is the run of wandb or mlflow to go on with."""
    try:
        if name == "tensorboard":
            tracker = LOGGER_TYPE_TO_CLASS[name](name, str(run), purge_step=first_step + 1)
        else:
            tracker = (_wandb if name == "wandb" else _mlflow)(run, known)
        tracker.start()
    except ModuleNotFoundError as error:
        line = how_to_install(error)
        if line is None:
            raise
        raise AccentError(f"monitor.trackers: {line}") from error
    except OSError as error:
        raise AccentError(
            f"monitor.trackers: {name} cannot write ({error}); give another folder (run=...), or free space"
        ) from error
    except _faults(name) as error:
        mend = {"wandb": "log in (wandb login), or set WANDB_MODE=offline", "mlflow": "check MLFLOW_TRACKING_URI"}
        raise AccentError(f"monitor.trackers: {name} does not start ({_first_line(error)}); {mend[name]}") from error
    return tracker


def _wandb(run: Path, known: str | None) -> GeneralTracker:
    import wandb

    return LOGGER_TYPE_TO_CLASS["wandb"](
        os.environ.get("WANDB_PROJECT", PROJECT),
        dir=str(run),
        name=_name(run),
        id=known or secrets.token_hex(6),
        resume="allow",
        # What this program prints stays its own, the bar of progress too.
        settings=wandb.Settings(console="off", silent=True),
    )


def _mlflow(run: Path, known: str | None) -> GeneralTracker:
    import mlflow

    if "MLFLOW_TRACKING_URI" not in os.environ:
        # Files need no database; mlflow asks for a word that this is meant.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow.set_tracking_uri((run.resolve() / "mlruns").as_uri())
    return LOGGER_TYPE_TO_CLASS["mlflow"](experiment_name=PROJECT, run_id=known, run_name=_name(run))


def _faults(name: str) -> tuple[type[Exception], ...]:
    """Return what a tracker raises when its service, or its user's account, does not do."""
    if name == "wandb":
        import wandb

        return (wandb.Error,)
    if name == "mlflow":
        from mlflow.exceptions import MlflowException

        return (MlflowException,)
    return ()


def _name(run: Path) -> str:
    """Return a short name of a run for people: its folder, and the folder around that."""
    return "/".join(run.resolve().parts[-2:])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read(file: Path) -> dict[str, Given]:
    """Return what wandb and mlflow have been given; empty before the first start.

    Raises:
        AccentError: the file is damaged, or somebody has edited it.
    """
    if not file.is_file():
        return {}
    return parse_json(file.read_bytes(), dict[str, Given], file, "remove it for new runs of wandb and mlflow")
