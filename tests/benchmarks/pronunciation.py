"""Pronunciation scoring on real speech: errors that are known to be there, and whose accent's phones are near.

    python -m tests.benchmarks.pronunciation RUN CORPUS [RECORDINGS]

CORPUS has TextGrids and holds the run's test speakers, of whom RECORDINGS each (2) are scored.  First, 15 % of the
expected phones are replaced by quite different ones, some pauses become deletions and some vowels additions, and the
goodness is checked against that as against annotations.  Then each speaker's mean distance from every accent's
realisations is measured: how often is the speaker's own accent nearest?
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

import accent
from accent.audio.prepare import load_speech
from accent.features.extract import extract
from accent.inference.pronunciation import Expected, score_pronunciation
from accent.inference.realisations import spoken_phones
from launch.applications.pronunciation.check import check_scores
from launch.reporting.check_table import check_table
from shards.corpora import CorpusConfig, open_corpus
from shards.splits.split import Split
from tests.support.sound.spoken_corpora import l2arctic_miniature


def main() -> None:
    run, corpus = Path(sys.argv[1]), Path(sys.argv[2])
    recordings = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    found = open_corpus(corpus, CorpusConfig())
    accent_of = {one.speaker: one.accent for one in found.utterances}
    tested = sorted(set(Split.load(run / "split.json").test) & set(accent_of))
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as folder:
        root = l2arctic_miniature(corpus, Path(folder), {name: name for name in tested}, recordings)
        rows = [f"{name}\t{accent_of[name]}" for name in tested]
        (root / "speakers.tsv").write_text("\n".join(["speaker\taccent", *rows]) + "\n")
        report = check_scores(run, root)
        console.print(check_table("errors put into real speech", report.figures))
    model = accent.load(run)
    own = {name: _nearest(model, corpus / name, recordings) == accent_of[name] for name in tested}
    by_accent = [np.mean([own[name] for name in tested if accent_of[name] == one]) for one in model.accents]
    share = f"{np.mean(by_accent):.2f} of {len(tested)} speakers, chance {1 / len(by_accent):.3f}"
    console.print(f"own accent nearest: balanced {share}")


def _nearest(model: accent.AccentModel, speaker: Path, recordings: int) -> str:
    """Return the accent whose realisations a speaker's phones are nearest to."""
    embedder, realisations = model.embedder, model.profiles.realisations
    inventory = embedder.need_phone_heads().recogniser.inventory
    distances = []
    for path in sorted((speaker / "wav").iterdir())[:recordings]:
        speech = load_speech(path, embedder.feature_config.audio)
        frames = extract(speech, embedder.feature_config).frames_TD
        expected = Expected.read(speaker / "textgrid" / f"{path.stem}.TextGrid")
        answer = score_pronunciation(embedder.predict_phones(frames), speech.first_frame, expected)
        tokens = spoken_phones(answer, embedder.relative_columns(frames), speech.first_frame, inventory)
        distances.append(np.stack([realisations.distances(at, *tokens) for at in range(len(model.accents))]))
    return model.accents[int(np.nanmean(np.concatenate(distances, axis=1), axis=1).argmin())]


if __name__ == "__main__":
    main()
