"""What a folder that is reported on holds: a run, a cross-validation, or baselines.

    RUN/evaluation/evaluation.json, embeddings.npz    `accent evaluate`
    RUN/tensorboard/, config.yaml, environment.json   training
    OUT/crossval.json, fold-K/seed-S/                 `accent crossval`
    BASE/baselines.json                               `accent baselines`

Everything is read when it is first asked for.  Cost: a run's embeddings and all points of its curves in memory.

Shapes: N recordings, E embedding, A accents.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from accent.configuration import load
from accent.errors import AccentError
from launch.evaluation.fold_run import PREDICTIONS, FoldRun, planned_runs
from launch.evaluation.group_predictions import GroupPredictions
from launch.extraction.recordings import Recordings
from launch.run_config import RunConfig
from shards.shard_set.manifest import ShardSet

Kind = Literal["run", "cross-validation", "baselines"]
Scalars = dict[str, list[tuple[float, float]]]
"""Curve -> (step, value)."""


@dataclass(frozen=True)
class RunFiles:
    """One folder that the page shows."""

    name: str
    """What the page calls it; another for each folder."""
    folder: Path
    kind: Kind
    shards_here: Path | None = None
    """Where the shard set lies now, if not where the configuration says."""

    @classmethod
    def open(cls, folder: Path, shards: Path | None = None) -> "RunFiles":
        """Find out what a folder is.

        Raises:
            AccentError: nothing that can be reported on.
        """
        kinds: tuple[tuple[str, Kind], ...] = (
            ("plan.json", "cross-validation"),
            ("baselines.json", "baselines"),
            ("config.yaml", "run"),
        )
        for file, kind in kinds:
            if (folder / file).is_file():
                return cls(folder.name or folder.resolve().name, folder, kind, shards)
        raise AccentError(
            f"{folder}: no run here (config.yaml), no cross-validation (plan.json) and no baselines (baselines.json); "
            "name a folder that training, accent crossval or accent baselines has written"
        )

    @cached_property
    def folds(self) -> list[FoldRun]:
        """The runs of a cross-validation that are finished; none for other folders."""
        if self.kind != "cross-validation":
            return []
        return [run for run in planned_runs(self.folder) if run.finished]

    @cached_property
    def run_folders(self) -> list[Path]:
        """The run's own folder, or those of finished folds."""
        if self.kind == "run":
            return [self.folder]
        return [run.folder for run in self.folds]

    @property
    def model_folders(self) -> list[Path]:
        """Those of the run folders that have a model."""
        return [folder for folder in self.run_folders if (folder / "model").is_dir()]

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        """What `accent evaluate` wrote; None where it has not run."""
        return self._json("evaluation/evaluation.json") if self.kind == "run" else None

    @cached_property
    def systems(self) -> dict[str, Any]:
        """The systems of a cross-validation or of baselines, by name; none for a run."""
        names = {"cross-validation": "crossval.json", "baselines": "baselines.json"}
        report = self._json(names[self.kind]) if self.kind in names else None
        return {} if report is None else report["systems"]

    @cached_property
    def embeddings(self) -> tuple[Recordings, Recordings, list[str]] | None:
        """The recordings of training speakers and of unseen ones, and the accents' names; None without evaluation."""
        path = self.folder / "evaluation" / "embeddings.npz"
        if self.kind != "run" or not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as archive:
            unseen_N = archive["unseen"]
            parts = [
                Recordings(
                    key_N=archive["keys"][rows],
                    embedding_NE=archive["embeddings"][rows],
                    probability_NA=archive["probabilities"][rows],
                    accent_N=archive["labels"][rows],
                    speaker_N=archive["speakers"][rows],
                    sex_N=archive["sex"][rows],
                    seconds_N=archive["seconds"][rows],
                )
                for rows in (~unseen_N, unseen_N)
            ]
            return parts[0], parts[1], archive["accent_names"].tolist()

    @cached_property
    def predictions(self) -> list[tuple[FoldRun, GroupPredictions]]:
        """The answers of the finished folds; none for other folders."""
        return [(run, GroupPredictions.load(run.folder / PREDICTIONS)) for run in self.folds]

    @cached_property
    def unseen_keys(self) -> dict[str, str]:
        """The keys of the unseen recordings, each with its speaker; none where nothing was embedded."""
        if self.embeddings is not None:
            unseen = self.embeddings[1]
            return dict(zip(unseen.key_N.tolist(), unseen.speaker_N.tolist(), strict=True))
        found: dict[str, str] = {}
        for _, answers in self.predictions:
            singles = answers.rows(answers.size_G == 1)
            found |= dict(zip(singles.key_G.tolist(), singles.speaker_G.tolist(), strict=True))
        return found

    @cached_property
    def config(self) -> RunConfig | None:
        """The configuration; None for baselines."""
        return None if self.kind == "baselines" else load(RunConfig, self.folder / "config.yaml")

    @cached_property
    def shard_set(self) -> ShardSet | None:
        """The shard set: the one given, else the one it was evaluated on, else that of the training; None if gone."""
        named = [self.shards_here, (self.evaluation or {}).get("shards"), self.config and self.config.shards]
        for place in named:
            if place and (Path(place) / "manifest.json").is_file():
                return ShardSet.open(Path(place))
        return None

    def curves(self, below: str = "") -> list[Scalars]:
        """Return TensorBoard's curves of each run folder that has some.

        Args:
            below: a folder in the run's, such as that of the phone heads.
        """
        found = (read_scalars(folder / below / "tensorboard") for folder in self.run_folders)
        return [scalars for scalars in found if scalars]

    def _json(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise AccentError(f"{path}: damaged ({error}); run the command that wrote it again") from error


def open_all(folders: Sequence[Path], shards: Path | None = None) -> list[RunFiles]:
    """Open folders, and tell those of one name apart by their parents.

    Raises:
        AccentError: one of them is nothing that can be reported on, or is named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise AccentError("a folder is named twice; name each once")
    runs = [RunFiles.open(folder, shards) for folder in folders]
    for parts in (2, 3, 4):
        names = [run.name for run in runs]
        runs = [
            replace(run, name="/".join(run.folder.resolve().parts[-parts:])) if names.count(run.name) > 1 else run
            for run in runs
        ]
    return runs


def read_scalars(folder: Path) -> Scalars:
    """Read every scalar curve of a folder of TensorBoard's; none if there is no such folder."""
    if not folder.is_dir():
        return {}
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={SCALARS: 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }
