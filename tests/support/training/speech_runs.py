"""Runs on real speech, small enough to train in seconds: four speakers of three accents, two of each validate."""

from pathlib import Path
from typing import Any

from accent.configuration import load
from launch.applications.calibrate import calibrate_run
from launch.run_config import RunConfig
from launch.training.run import train_run
from shards import FeatureProcessor
from shards.corpora.corpus import CorpusConfig
from shards.writing.processor import FeaturizeConfig

KNOWN = ("Arabic", "French", "Mandarin")
UNKNOWN = ("English", "Spanish")
COMMON: dict[str, Any] = {
    "device": "cpu",
    "split": {"validation_speakers": 2, "test_speakers": 0},
    "batch": {"speakers_per_accent": 2, "utterances_per_speaker": 2, "crop_frames": 200},
    "optimizer": {"lr": 3e-3, "warmup_steps": 2},
}
FRAMES = {
    **COMMON,
    "epochs": 6,
    "validate_every_epochs": 6,
    "model": {"preset": "tiny", "hidden": 32, "layers": 1, "heads": 2, "embedding_dim": 32},
}
PHONES = {
    **COMMON,
    "epochs": 3,
    "validate_every_epochs": 3,
    "model": {"preset": "phonetic", "phone_channels": 24, "directions": 16, "embedding_dim": 16},
    "phones": {"epochs": 3, "batch": {"speakers_per_accent": 2, "utterances_per_speaker": 2, "crop_frames": 200}},
}


def speech_shards(saa: Path, folder: Path) -> None:
    """Featurize the known accents."""
    config = FeaturizeConfig(corpus=CorpusConfig(accents=KNOWN))
    FeatureProcessor(saa, folder, config, workers=1).process_dataset()


def calibrated_run(settings: dict[str, Any], shards: Path, run: Path) -> None:
    """Train and calibrate."""
    train_run(load(RunConfig, settings, [f"run={run}", f"shards={shards}"]))
    calibrate_run(run, device="cpu")


_LARGER = {"speakers_per_accent": 2, "utterances_per_speaker": 4, "crop_frames": 300}
LISTENING = {
    **COMMON,
    "epochs": 24,
    "validate_every_epochs": 24,
    "optimizer": {"lr": 1e-2, "warmup_steps": 2},
    "batch": _LARGER,
    "model": {
        "preset": "phonetic", "phone_channels": 48, "directions": 32, "embedding_dim": 16, "dropout": 0.0,
    },
    "phones": {"epochs": 30, "batch": _LARGER},
}  # fmt: skip
"""Phone heads that hear four phones in five, and an embedding that knows the accents of its training speakers."""
