"""`accent score-check`: does goodness of pronunciation say what people say?

A corpus with annotations of errors (L2-ARCTIC's folders `annotation`) is compared with those; a corpus with a file of
human scores (speechocean762's `resource/scores.json`) with these.  Speakers on whom the model was trained or chosen are
left out, because heads know what their training speakers were said to say.

Cost: that of scoring every annotated or scored recording.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accent.audio.prepare import AudioConfig, load_speech
from accent.errors import AccentError
from accent.inference.accent_model import AccentModel, load
from accent.inference.pronunciation import Pronunciation
from launch.applications.pronunciation.annotated import AnnotatedUtterance, compare_with_annotations
from launch.applications.pronunciation.human_scores import (
    ScoredUtterance,
    align,
    compare_with_people,
    read_human_scores,
)
from launch.extraction.sound_files import list_sound_files
from launch.extraction.terminal import track_on_terminal
from shards.alignment.aligner import Aligner
from shards.corpora import open_corpus
from shards.corpora.annotations import read_annotation
from shards.corpora.corpus import CorpusConfig
from shards.splits.split import Split

SCORES_NAME = Path("resource", "scores.json")
"""Where speechocean762 has its scores."""


@dataclass
class CheckReport:
    """What was compared, and what could not be."""

    compared_with: str
    """`annotations` or `human scores`."""
    figures: dict[str, Any]
    left_out: list[str]
    """Speakers who trained or chose the model."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Recordings that could not be scored, and why."""


def check_scores(run: Path, corpus: Path, scores: Path | None = None, device: str = "cpu") -> CheckReport:
    """Compare a model's goodness of pronunciation with what people said of a corpus.

    Args:
        run: a run folder or model folder, of the branch `phones`.
        corpus: L2-ARCTIC, or a corpus in its layout; or a folder of sound files that a file of scores names.
        scores: the file of human scores; `resource/scores.json` of the corpus if there is one.
        device: where to compute.

    Returns:
        The figures.

    Raises:
        AccentError: no model with phone heads, nothing that people said, or not one recording that can be scored.
    """
    model = load(run, device)
    model.embedder.need_phone_heads()
    known = _known_speakers(run)
    if scores is None and (corpus / SCORES_NAME).is_file():
        scores = corpus / SCORES_NAME
    return _annotations(model, corpus, known) if scores is None else _people(model, corpus, scores)


def _known_speakers(run: Path) -> set[str]:
    """Return who trained and chose the model; nobody where the folder does not say."""
    if not (run / "split.json").is_file():
        return set()
    parts = Split.load(run / "split.json")
    return {*parts.train, *parts.validation}


def _annotations(model: AccentModel, corpus: Path, known: set[str]) -> CheckReport:
    opened = open_corpus(corpus, CorpusConfig())
    annotated = [one for one in opened.utterances if "annotation" in one.extra]
    if not annotated:
        raise AccentError(
            f"{corpus}: nothing to compare with: no SPEAKER/annotation/NAME.TextGrid and no {SCORES_NAME} here; name a "
            "file of scores with --scores"
        )
    left_out = sorted({one.speaker for one in annotated} & known)
    report = CheckReport("annotations", {}, left_out)
    pairs: list[tuple[AnnotatedUtterance, Pronunciation]] = []
    chosen = [one for one in annotated if one.speaker not in known]
    if not chosen:
        raise AccentError(
            f"{corpus}: every annotated speaker trained or chose the model; compare speakers it never met"
        )
    for one in track_on_terminal(chosen, "listening"):
        try:
            marks = read_annotation(opened.root / one.extra["annotation"])
            utterance = AnnotatedUtterance(one.speaker, one.accent, marks)
            pairs.append((utterance, model.score(one.path, utterance.expected())))
        except AccentError as error:
            report.refused.append((one.key, str(error).removeprefix(f"{one.path}: ")))
    _need(pairs, corpus, report)
    report.figures = compare_with_annotations([one for one, _ in pairs], [answer for _, answer in pairs])
    return report


def _people(model: AccentModel, corpus: Path, scores: Path) -> CheckReport:
    told = read_human_scores(scores)
    files, faults = list_sound_files(corpus)
    found = {path.stem: path for path in files if path.stem in told}
    if not found:
        raise AccentError(f"{scores}: none of its {len(told)} utterances has a sound file of its name in {corpus}")
    report = CheckReport("human scores", {}, [], [(name, reason) for name, reason in faults])
    aligner = Aligner()
    pairs: list[tuple[ScoredUtterance, Pronunciation]] = []
    for name, path in track_on_terminal(sorted(found.items()), "listening"):
        try:
            expected = align(aligner, load_speech(path, AudioConfig()).unfiltered_N, told[name])
            pairs.append((told[name], model.score(path, expected)))
        except AccentError as error:
            report.refused.append((name, str(error).removeprefix(f"{path}: ")))
    _need(pairs, corpus, report)
    report.figures = compare_with_people([one for one, _ in pairs], [answer for _, answer in pairs])
    report.figures["without_sound"] = len(told) - len(found)
    return report


def _need(pairs: Sequence[Any], corpus: Path, report: CheckReport) -> None:
    if not pairs:
        name, reason = report.refused[0]
        raise AccentError(
            f"{corpus}: none of {len(report.refused)} recordings can be scored; the first, {name}: {reason}"
        )
