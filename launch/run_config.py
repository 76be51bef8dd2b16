"""What one training run is: every choice in one frozen dataclass, read from YAML and `key=value` words.

`TrainingConfig` is what training from Python takes; `RunConfig` adds data, folder and processes.  A run's `config.yaml`
holds every value, so that the folder alone says how the model was made.  Cost: milliseconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from omegaconf import OmegaConf

from accent.augmentation.config import AugmentationConfig
from accent.configuration import to_mapping
from accent.errors import AccentError
from accent.files import write_text
from accent.losses.config import LossConfig
from accent.model.config import ModelConfig
from shards.loading.config import BatchConfig
from shards.splits.split import SplitConfig

PACKAGED = Path(__file__).resolve().parents[1] / "configs"
"""The configurations that come with the package; found from this file: a user's own `configs` cannot hide them."""

PHONES_FOLDER = "phones"
"""Folder in a run's, of the run that trains its phone heads."""

TRACKERS = ("tensorboard", "wandb", "mlflow")
"""Where the numbers of a run can go."""

RESUMABLE = {"resumable": True}
"""Metadata of a field that a resumed run may change; set on a section, it holds for every key in it.  The mark is the
word itself in `accent` and `shards`, which know nothing of runs."""


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its learning rate over time: linear warm-up, then a cosine down to a floor."""

    lr: float = 1e-3
    """Highest learning rate, reached at the end of the warm-up."""
    final_lr: float = 1e-5
    """Learning rate at the last step."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises from near zero; at most half the run."""
    weight_decay: float = 0.02
    """Decay of the weight matrices; norms, biases, the temperature and the fusion weights are never decayed."""
    fusion_lr_factor: float = 1.0
    """Factor of the learning rate for the fusion weights, which at the common rate hardly move in a short run."""
    betas: tuple[float, ...] = (0.9, 0.98)
    """AdamW's two decay rates: of the mean and of the square of the gradient."""
    epsilon: float = 1e-8
    """Added to AdamW's denominator."""
    grad_clip: float = 1.0
    """Largest norm of the gradient over all parameters; a longer one is scaled down to it."""

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"lr: {self.lr} is not above 0")
        if not 0 <= self.final_lr <= self.lr:
            raise ValueError(f"final_lr: {self.final_lr} is not between 0 and lr ({self.lr})")
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps: {self.warmup_steps} is below 0")
        if not self.fusion_lr_factor > 0:
            raise ValueError(f"fusion_lr_factor: {self.fusion_lr_factor} is not above 0")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay: {self.weight_decay} is below 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: {list(self.betas)} are not two numbers from 0 up to, not including, 1")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon: {self.epsilon} is not above 0")
        if not self.grad_clip > 0:
            raise ValueError(f"grad_clip: {self.grad_clip} is not above 0")


@dataclass(frozen=True)
class CheckpointConfig:
    """When the whole state of a run is saved, and how many savings are kept."""

    every_steps: int = 500
    """Steps between checkpoints; one is also saved after each validation, at the end, and when a signal comes."""
    every_minutes: float | None = None
    """Minutes after which a checkpoint is saved besides, counted from the last one by the clock of the first process;
    null saves by steps only."""
    keep_last: int = 2
    """How many of the newest checkpoints stay; age plays no part, so a run that stood still for days loses none."""
    keep_best: int = 1
    """How many of the checkpoints with the best validations stay as well; `accent average` makes one model of them."""
    export: Literal["best", "last"] = "best"
    """Whose weights the folder `model` holds: those of the best validation, or the last; of a few validation speakers,
    the best is chosen by chance."""

    def __post_init__(self) -> None:
        for name in ("every_steps", "keep_last", "keep_best"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is below 1")
        if self.every_minutes is not None and not self.every_minutes > 0:
            raise ValueError(f"every_minutes: {self.every_minutes} is not above 0; null saves by steps only")
        if self.export not in ("best", "last"):
            raise ValueError(f"export: '{self.export}' is not one of best, last")


@dataclass(frozen=True)
class MonitorConfig:
    """What is shown while a run is at work."""

    every_steps: int = 10
    """Steps between points of the curves; a point is the mean over these steps."""
    line_seconds: float = 15.0
    """Seconds between lines of progress where there is no terminal to draw a bar on."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Where numbers go: tensorboard, wandb, mlflow, all of them through Accelerate; an empty list: nowhere."""
    gradients_every_steps: int = 100
    """Steps between histograms of the gradients, for TensorBoard; 0 makes none."""
    pictures: bool = True
    """Whether each validation gives TensorBoard its confusion matrix, a map, lengths of embeddings, and the projector
    its embeddings; needs tensorboard among the trackers."""
    profile: str | None = None
    """Steps that torch.profiler records into the folder `profile` of the run: 20..30; null records none."""
    health_seconds: float = 60.0
    """Seconds between writings of `health.json` in the run's folder, which tells how the run is."""
    compare_weights_every_steps: int = 500
    """Steps between comparisons of the weights of all processes, which must be equal; 0 never compares."""

    def __post_init__(self) -> None:
        if self.every_steps < 1:
            raise ValueError(f"every_steps: {self.every_steps} is below 1")
        if self.gradients_every_steps < 0:
            raise ValueError(f"gradients_every_steps: {self.gradients_every_steps} is below 0")
        if self.compare_weights_every_steps < 0:
            raise ValueError(f"compare_weights_every_steps: {self.compare_weights_every_steps} is below 0")
        for name in ("line_seconds", "health_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: {getattr(self, name)} is not above 0")
        for name in self.trackers:
            if name not in TRACKERS:
                raise ValueError(f"trackers: '{name}' is not one of {', '.join(TRACKERS)}")
        if self.profile is not None:
            profiled_steps(self.profile)


def profiled_steps(text: str) -> tuple[int, int]:
    """Return the first and the last step of what `monitor.profile` says.

    >>> profiled_steps("20..30")
    (20, 30)

    Raises:
        ValueError: it says something else.
    """
    found = re.fullmatch(r"(\d+)\.\.(\d+)", text.strip())
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last:
        raise ValueError(f"profile: '{text}' is not a first and a last step, as in 20..30")
    return first, last


@dataclass(frozen=True)
class TrainingConfig:
    """How an encoder is trained, whatever its data and its processes: the one place where such an option is written."""

    RENAMED: ClassVar[Mapping[str, str]] = {"accumulation": "gradient_accumulation_steps"}

    seed: int = 0
    """Seed of the first weights, of the order of the samples, of the crops and of dropout."""
    epochs: int = field(default=50, metadata=RESUMABLE)
    """Passes over the training speakers' utterances, by count: an epoch is utterances / global batch steps."""
    validate_every_epochs: int = field(default=1, metadata=RESUMABLE)
    """Epochs between validations; the last step is always validated."""
    losses: LossConfig = field(default_factory=LossConfig)
    """The objective."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Perturbations of the crops that are trained on; the branch `phones` trains its phone heads with them."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW and its learning rate."""
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig, metadata=RESUMABLE)
    """When the state is saved."""
    monitor: MonitorConfig = field(default_factory=MonitorConfig, metadata=RESUMABLE)
    """What is shown."""
    gradient_accumulation_steps: int = 1
    """Global batches whose gradients are averaged into one step; each has negatives of its own only."""
    chunk_rows: int | None = field(default=None, metadata=RESUMABLE)
    """Rows that a process encodes at a time, so that a global batch larger than the memory keeps all its negatives, for
    the price of a second forward pass; null encodes all at once."""
    compile: bool = field(default=False, metadata=RESUMABLE)
    """Encode through torch.compile: a minute at the start, fewer kernels afterwards."""
    deterministic: bool = field(default=False, metadata=RESUMABLE)
    """Use only algorithms of torch that give the same bits each time; matters on a GPU, where it needs the variable
    CUBLAS_WORKSPACE_CONFIG=:4096:8 and may be slower."""
    tf32: bool = field(default=False, metadata=RESUMABLE)
    """Let a GPU round the factors of float32 products and convolutions to TF32: faster, with ten bits instead of 23."""
    not_finite: Literal["stop", "skip"] = field(default="stop", metadata=RESUMABLE)
    """What happens when a loss or gradient is not finite on any process: `stop` ends the run, `skip` leaves the step
    out on all of them and counts it.  fp16 always leaves out a step that overflows."""

    def __post_init__(self) -> None:
        for name in ("epochs", "validate_every_epochs", "gradient_accumulation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is below 1")
        if self.seed < 0:
            raise ValueError(f"seed: {self.seed} is below 0")
        if self.chunk_rows is not None and self.chunk_rows < 1:
            raise ValueError(f"chunk_rows: {self.chunk_rows} is below 1")
        if self.not_finite not in ("stop", "skip"):
            raise ValueError(f"not_finite: '{self.not_finite}' is not one of stop, skip")


@dataclass(frozen=True)
class PhonesConfig:
    """How phone heads are trained before a phonetic embedding; the loss is that of `accent.losses.phones.objective`."""

    epochs: int = 6
    """Passes over the training speakers' utterances, by count."""
    batch: BatchConfig = field(
        default_factory=lambda: BatchConfig(speakers_per_accent=4, utterances_per_speaker=1, crop_frames=200)
    )
    """Shape of the batches: 2 s of each utterance are enough for phones."""
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=4e-3, warmup_steps=30, grad_clip=5.0))
    """AdamW and its learning rate."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs: {self.epochs} is below 1")


@dataclass(frozen=True)
class PretrainingConfig:
    """How much of the speech `objective=reconstruction` hides."""

    hidden_share: float = 0.4
    """Share of the frames that are hidden and have to be told from those around them."""
    hidden_frames: int = 20
    """Frames of 10 ms that are hidden in one stretch; stretches may touch."""

    def __post_init__(self) -> None:
        if not 0 < self.hidden_share < 1:
            raise ValueError(f"hidden_share: {self.hidden_share} is not between 0 and 1")
        if self.hidden_frames < 1:
            raise ValueError(f"hidden_frames: {self.hidden_frames} is below 1")


@dataclass(frozen=True)
class RunConfig(TrainingConfig):
    """One training run: how it trains, on what, where, and on which processes."""

    run: str = field(default="runs/accent", metadata=RESUMABLE)
    """Folder of the run: configuration, split, checkpoints, best model, curves, evaluation."""
    shards: str = field(default="shards", metadata=RESUMABLE)
    """Folder of the shard set, made by `accent featurize`; or the address of such a folder elsewhere, whose shards are
    streamed: `https://host/folder`, `s3://bucket/folder`, `pipe:ssh host cat /folder/{}`.  A resumed run compares its
    content, not its path."""
    objective: Literal["accent", "phones", "reconstruction"] = "accent"
    """What is learned: to tell accents apart; only the phone heads that the branch `phones` begins with; or, without
    any label, the branch `frames` up to its transformer, by telling hidden frames."""
    init: str | None = None
    """A run to begin with: its encoder is kept, and its accent head where it tells the same accents apart; null begins
    with fresh weights."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The encoder."""
    phones: PhonesConfig = field(default_factory=PhonesConfig)
    """How the branch `phones` trains its phone heads first, in the folder `phones` of the run; not read with `init`."""
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    """How much `objective=reconstruction` hides; not read by the others."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Shape of the global batch and of the crops."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Which speakers train, validate and test."""
    resume: bool = field(default=True, metadata=RESUMABLE)
    """Continue from the newest checkpoint of the run folder, if it has one."""
    device: Literal["auto", "cpu", "cuda"] = field(default="auto", metadata=RESUMABLE)
    """auto: the GPUs if there are any; cpu: never a GPU; cuda: a GPU, or the run ends with one line."""
    processes: int | None = field(default=None, metadata=RESUMABLE)
    """How many processes the run must have; null takes what the launcher makes."""
    zero_stage: int | None = field(default=None, metadata=RESUMABLE)
    """DeepSpeed's ZeRO stage that the run must have, 0 for whole copies; null takes what the launcher makes."""
    mixed_precision: Literal["no", "bf16", "fp16"] | None = field(default=None, metadata=RESUMABLE)
    """Arithmetic of the forward pass; null takes the launcher's choice.  A resumed run may change it, and says so."""
    timeout_minutes: float = field(default=10.0, metadata=RESUMABLE)
    """How long a process waits for the others before the job ends."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.zero_stage not in (None, 0, 1, 2, 3):
            raise ValueError(f"zero_stage: {self.zero_stage} is not one of 0, 1, 2, 3")
        if self.objective == "phones" and self.model.branch != "phones":
            raise ValueError("objective: phones needs model.branch=phones, whose heads it trains")
        if self.losses.ctc and self.model.branch != "phones":
            raise ValueError("losses.ctc: needs model.branch=phones, whose phone heads it trains; 0 is allowed")
        if self.objective == "reconstruction" and self.model.branch != "frames":
            raise ValueError(
                "objective: reconstruction needs model.branch=frames, the only one that reconstructs frames"
            )
        if self.losses.same_prompt and not self.batch.same_prompts:
            raise ValueError(
                "losses.same_prompt: true needs batch.same_prompts=true, or hardly a row would find a positive"
            )
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes: {self.processes} is below 1")
        if not self.timeout_minutes > 0:
            raise ValueError(f"timeout_minutes: {self.timeout_minutes} is not above 0")
        for name in ("run", "shards"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name}: an empty path")


def find_config(name: str, folder: str = "") -> Path:
    """Return the configuration file a name stands for.

    Args:
        name: a path (`configs/demo.yaml`, `mine.yaml`); looked up from the working folder first, then among the
            configurations that come with the package, with or without the leading `configs/` and the `.yaml`.
        folder: of the package's configurations to list where there is none of this name; "corpora" holds the
            featurizer's, the top has those of runs.

    Returns:
        An existing file.

    Raises:
        AccentError: there is none; the line lists the configurations that come with the package.
    """
    given = Path(name)
    if given.is_file():
        return given
    inside = Path(*given.parts[1:]) if given.parts[:1] == ("configs",) else given
    if not given.is_absolute():
        for candidate in (PACKAGED / inside, PACKAGED / f"{inside}.yaml"):
            if candidate.is_file():
                return candidate
    known = ", ".join(sorted(f"configs/{path.relative_to(PACKAGED)}" for path in (PACKAGED / folder).glob("*.yaml")))
    raise AccentError(f"{name}: no such configuration file; those that come with the package: {known}")


def write_config(config: RunConfig, file: Path) -> None:
    """Write every value of a configuration as YAML; the file is there whole or not at all."""
    write_text(file, OmegaConf.to_yaml(OmegaConf.create(to_mapping(config))))
