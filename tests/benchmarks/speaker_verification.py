"""Speaker verification by accent on real recordings, with a simple speaker embedding: errors before and after.

    python -m tests.benchmarks.speaker_verification SHARDS

Half of the speakers of each accent are tested in all pairs of their recordings, the others are the cohort.
"""

import sys
import tempfile
from pathlib import Path

from rich.console import Console

from launch.applications.speaker_embeddings import read_speaker_embeddings
from launch.applications.speaker_verification import figures, read_trials, score_trials
from launch.reporting.speaker_table import speaker_table
from tests.support.sound.simple_speakers import divide, simple_embeddings


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        test, trials, cohort = divide(simple_embeddings(Path(sys.argv[1])), Path(folder))
        tested = read_speaker_embeddings(test)
        pairs = read_trials(trials, tested)
        scores = score_trials(tested, pairs, read_speaker_embeddings(cohort))
        Console(width=100).print(speaker_table(figures(scores, pairs.target_n)))


if __name__ == "__main__":
    main()
