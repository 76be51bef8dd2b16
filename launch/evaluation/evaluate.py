"""Evaluation of a run on speakers that its model never saw: figures, a JSON, an archive of embeddings, pictures.

The training speakers' recordings teach the classifiers; the tested speakers' recordings are judged.  Held-out prompts,
where the split has them, are the only ones tested and never taught.  Everything is written to the run's folder
`evaluation/`.

Shapes: N recordings, E embedding, A accents.  Cost: a forward pass over every utterance of both groups,
then seconds of linear probes, t-SNE and drawing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from rich.console import Group

from accent.configuration import load
from accent.errors import AccentError
from accent.files import writable_folder, write_archive, write_text
from accent.inference.model_file import load_model
from accent.metrics import EmbedGroups, GroupOutput, RowGroups
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.evaluation.left_out_families import measure_left_out
from launch.evaluation.measures import measure
from launch.evaluation.unknown_accents import measure_unknown, unknownness_of
from launch.extraction.compatibility import check_features
from launch.extraction.extract import usable_device
from launch.extraction.groups import EmbeddedSpeech, embed_speech
from launch.extraction.recordings import Recordings
from launch.reporting.figures import draw_confusion, draw_fusion, draw_space, draw_unknown
from launch.reporting.fold_tables import speakers_table
from launch.reporting.tables import figures_table, groups_table, left_out_table, unknown_table
from launch.run_config import RunConfig
from launch.training.initial import trained_halves
from shards.loading.loader import EvaluationLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.select import known_prompts
from shards.splits.split import Split


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found and where it wrote it."""

    folder: Path
    """Holds evaluation.json, embeddings.npz and the pictures."""
    report: dict[str, Any]
    """The content of evaluation.json."""
    pictures: tuple[Path, ...]
    """The PNG files."""

    @property
    def table(self) -> Group:
        """The figures, those of speakers, of groups, of unknown accents and of families left out, for `rich`."""
        tables = [figures_table(self.report), speakers_table(self.report), groups_table(self.report)]
        if self.report["unknown_accents"] is not None:
            tables.append(unknown_table(self.report["unknown_accents"]))
        if self.report["left_out_families"] is not None:
            tables.append(left_out_table(self.report["left_out_families"]))
        return Group(*[part for table in tables for part in (table, "")][:-1])


class Choice(NamedTuple):
    """Whose recordings are tested."""

    tested: list[str]
    """Names, sorted."""
    left_out: list[dict[str, str]]
    """Speakers of the shard set who might have been tested, each with the reason."""
    other_corpus: bool
    """The shard set has no speaker of that part of the split."""
    unknown: list[str]
    """Of those left out, the speakers of accents that were never trained on."""


def evaluate_run(
    run: Path,
    shards: Path,
    split: Literal["test", "validation"] = "test",
    output: Path | None = None,
    training_shards: Path | None = None,
    device: torch.device | str | None = None,
    seed: int = 0,
    leave_out_families: bool = False,
) -> EvaluationResult:
    """Measure a run's model on speakers it never saw.

    Args:
        run: the run folder: `model/`, `split.json`, `config.yaml`.
        shards: the shard set to test on.  If it has no speaker of that part of the split it is taken for another
            corpus: every speaker in it is tested whose accent the model knows and whom the split does not name.
            In either case, speakers of accents that the model was not trained on show whether those are noticed.
        split: which part of the run's split to test.  The validation speakers chose the model that was kept.
        output: where to write; `RUN/evaluation` if not given.
        training_shards: the shard set of the training speakers; if not given, `shards` if it has them, or else the
            one that `config.yaml` names.
        device: where to compute; a GPU if there is one.
        seed: of the bootstrap and of every choice of recordings.
        leave_out_families: whether the accent head is measured with each feature family left out as well.

    Returns:
        The report, the folder it lies in, and the pictures.

    Raises:
        AccentError: no model or split, features made otherwise than the model's, nobody to test, or a folder that
            cannot be written.
    """
    device = usable_device(device)
    model, feature_config = load_model(run, device)
    folder = output if output is not None else run / "evaluation"
    parts = Split.load(run / "split.json")
    tested_set = ShardSet.open(shards)
    check_features(tested_set, feature_config)
    accents = list(model.config.accents)

    names, left_out, other_corpus, unknown_names = choose_speakers(tested_set, parts, split, accents)
    training_set = _training_set(run, tested_set, parts, training_shards)
    check_features(training_set, feature_config)
    writable_folder(folder)
    held_out = known_prompts(training_set, parts.held_out_prompts)
    tested_prompts = None if other_corpus else known_prompts(tested_set, parts.held_out_prompts) or None
    half_S = trained_halves_of(run, training_set) if isinstance(model, PhoneticEncoder) else None
    taught = EvaluationLoader(training_set, parts.train, but_not_prompts=held_out)
    taught_speech = embed_speech(model, taught, device, half_S, "training speakers")
    training, _ = _recordings(accents, taught, taught_speech)
    judged = EvaluationLoader(tested_set, names, prompts=tested_prompts)
    judged_speech = embed_speech(model, judged, device, None, "unseen speakers")
    tested, embed_groups = _recordings(accents, judged, judged_speech)
    unknown = None
    if unknown_names:
        strangers = EvaluationLoader(tested_set, unknown_names)
        stranger_speech = embed_speech(model, strangers, device, None, "unknown accents")
        fitted = {"training": unknownness_of(taught_speech)}
        chosen_by = sorted(set(parts.validation) & set(training_set.speakers) - set(names))
        if chosen_by:
            watched = EvaluationLoader(training_set, chosen_by, but_not_prompts=held_out)
            watched_speech = embed_speech(model, watched, device, half_S, "validation speakers")
            fitted["validation"] = unknownness_of(watched_speech)
        unknown = {
            "accents": sorted({one.accent for one in tested_set.manifest.speakers if one.name in unknown_names}),
            **measure_unknown(fitted, unknownness_of(judged_speech), unknownness_of(stranger_speech), seed),
        }

    who = f"{len(names)} unseen speakers" + (" of another corpus" if other_corpus else f" ({split})")
    report = {
        "format_version": 1,
        "title": f"{who}, {len(tested)} recordings, {len(accents)} accents",
        "run": str(run),
        "shards": str(tested_set.root),
        "training_shards": str(training_set.root),
        "tested": "another corpus" if other_corpus else split,
        "tested_prompts": "all" if tested_prompts is None else tested_prompts,
        "accents": accents,
        "speakers": {"training": sorted(parts.train), "tested": names},
        "left_out": left_out,
        "fusion_weights": model.fusion_weights(),
        **measure(training, tested, accents, seed, embed_groups),
        "unknown_accents": unknown,
        "left_out_families": measure_left_out(model, judged, judged_speech, tested, seed)
        if leave_out_families
        else None,
    }
    _write_embeddings(folder / "embeddings.npz", training, tested, accents)
    pictures = [
        draw_space(folder / "embedding_space.png", training, tested, accents, seed),
        draw_confusion(folder / "confusion.png", report, accents),
        draw_fusion(folder / "fusion.png", report["fusion_weights"]),
    ]
    if unknown is not None:
        pictures.append(draw_unknown(folder / "unknown_accents.png", unknown))
    write_text(folder / "evaluation.json", json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return EvaluationResult(folder, report, tuple(pictures))


def choose_speakers(
    shard_set: ShardSet, parts: Split, split: Literal["test", "validation"], accents: Sequence[str]
) -> Choice:
    """Say who is tested and who is left out.

    Args:
        shard_set: the shard set to test on.
        parts: the run's split.
        split: the part of it to test.  If the shard set has none of its speakers, it is another corpus.
        accents: the accents the model knows.

    Returns:
        The choice; it never holds a speaker that was trained on.

    Raises:
        AccentError: nobody is left to test.
    """
    wanted = set(getattr(parts, split))
    other_corpus = not wanted & set(shard_set.speakers)
    named = {name: part for part in ("train", "validation", "test") for name in getattr(parts, part)}
    tested, left_out, unknown = [], [], []
    for speaker in shard_set.manifest.speakers:
        if speaker.accent not in accents and named.get(speaker.name, "test") == "test":
            reason = f"accent '{speaker.accent}' is unknown to the model"
            unknown.append(speaker.name)
        elif not other_corpus and speaker.name not in wanted:
            continue
        elif other_corpus and speaker.name in named:
            reason = f"in the run's split ({named[speaker.name]})"
        else:
            tested.append(speaker.name)
            continue
        left_out.append({"speaker": speaker.name, "reason": reason})
    if not tested:
        why = "; ".join(sorted({one["reason"] for one in left_out}))
        raise AccentError(f"{shard_set.place}: no speaker that the model never saw ({why}); name another shard set")
    return Choice(tested, left_out, other_corpus, unknown)


def _training_set(run: Path, tested_set: ShardSet, parts: Split, given: Path | None) -> ShardSet:
    if given is None and set(parts.train) <= set(tested_set.speakers):
        return tested_set
    root = given if given is not None else Path(load(RunConfig, run / "config.yaml").shards)
    if not root.is_dir():
        raise AccentError(f"{root}: the training speakers' shard set is not here; say where it is (--training-shards)")
    return ShardSet.open(root)


def _recordings(
    accents: Sequence[str], loader: EvaluationLoader, speech: EmbeddedSpeech
) -> tuple[Recordings, EmbedGroups]:
    """Put beside embedded utterances what the shard set knows of each; and embed groups of rows."""
    found, embed_samples = speech
    shard_set = loader.shard_set
    position = {name: number for number, name in enumerate(accents)}
    unknown = sorted({loader.accents[label] for label in np.unique(found.accent_N)} - set(position))
    if unknown:
        raise AccentError(f"{shard_set.place}: accents the model was not trained for: {', '.join(unknown)}")
    sexes = np.array([speaker.sex or "" for speaker in shard_set.manifest.speakers])
    recordings = Recordings(
        key_N=loader.keys(found.sample_N),
        embedding_NE=found.embedding_NE,
        probability_NA=found.probability_NA,
        accent_N=np.array([position.get(name, -1) for name in loader.accents])[found.accent_N],
        speaker_N=np.array(shard_set.speakers)[found.speaker_N],
        sex_N=sexes[found.speaker_N],
        seconds_N=shard_set.index["frames"][found.sample_N] / shard_set.manifest.frames_per_second,
    )

    def embed_rows(groups: Sequence[np.ndarray]) -> GroupOutput:
        return embed_samples(RowGroups.of(groups).renamed(found.sample_N))

    return recordings, embed_rows


def trained_halves_of(run: Path, training_set: ShardSet) -> torch.Tensor:
    """Return who trained which phone head: each training speaker is read by the head that never heard them."""
    begun_with = load(RunConfig, run / "config.yaml").init
    heads = run if begun_with is None else Path(begun_with)
    if not heads.exists():
        raise AccentError(f"{heads}: the run began with the phone heads trained here; put that run's folder back")
    return trained_halves(heads, training_set)


def _write_embeddings(path: Path, training: Recordings, tested: Recordings, accents: Sequence[str]) -> None:
    both = {
        name: np.concatenate([getattr(training, field), getattr(tested, field)])
        for name, field in (
            ("keys", "key_N"),
            ("embeddings", "embedding_NE"),
            ("probabilities", "probability_NA"),
            ("labels", "accent_N"),
            ("speakers", "speaker_N"),
            ("sex", "sex_N"),
            ("seconds", "seconds_N"),
        )
    }
    unseen = np.arange(len(both["keys"])) >= len(training)
    write_archive(path, {**both, "unseen": unseen, "accent_names": np.array(accents)})
