"""`accent convert-eval` on real speech whose direction is known: no conversion system is needed.

    python -m tests.benchmarks.conversion RUN CORPUS OWN TARGET [SPEAKERS]

CORPUS is in L2-ARCTIC's layout and holds the run's test and validation speakers, who say the same texts.  Of SPEAKERS
(3) of the accent OWN, two recordings each are "converted" into

    nothing            themselves
    voice              their words in another voice: formants x 1.15, pitch x 1.5, by Praat
    other speaker      another speaker of their own accent, saying the same
    target             a speaker of the accent TARGET, saying the same
    other words        themselves, saying something else
"""

import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from launch.applications.conversion.evaluate import evaluate_conversion
from shards.corpora import CorpusConfig, open_corpus
from shards.splits.split import Split
from tests.support.sound.changed_voice import change_voice

COLUMNS = (
    "progress", "toward_target", "away_from_own", "log_odds_before", "log_odds_after", "speaker_similarity",
    "same_speaker", "phone_error_rate",
)  # fmt: skip
RECORDINGS = 2


def main() -> None:
    run, corpus, own, target = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    wanted = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    parts = Split.load(run / "split.json")
    unseen = {*parts.test, *parts.validation}
    speakers: dict[str, list[Path]] = {}
    accent_of = {}
    for one in open_corpus(corpus, CorpusConfig()).utterances:
        if one.speaker in unseen:
            speakers.setdefault(one.speaker, []).append(one.path)
            accent_of[one.speaker] = one.accent
    mine, theirs = (sorted(name for name in speakers if accent_of[name] == accent) for accent in (own, target))
    mine = mine[: wanted + 1]
    table = Table(title=f"{own} to {target}: {len(mine) - 1} speakers never heard, {RECORDINGS} recordings each")
    for heading in ("converted into", *COLUMNS):
        table.add_column(heading.replace("_", " "), justify="right")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for place, name in enumerate(mine[:-1]):
            _convert(root, name, speakers[name], speakers[mine[place + 1]], speakers[theirs[place % len(theirs)]])
        for kind in ("nothing", "voice", "other speaker", "target", "other words"):
            found = evaluate_conversion(run, root / "source", root / kind, target, own).summary()
            table.add_row(kind, *(f"{found[name]:.2f}" for name in COLUMNS))
    Console(width=140).print(table)


def _convert(root: Path, name: str, source: list[Path], other: list[Path], target: list[Path]) -> None:
    """Write a speaker's recordings and what they are converted into; texts are matched by file name."""
    by_name = [{path.stem: path for path in paths} for paths in (source, other, target)]
    common = sorted(set.intersection(*(set(one) for one in by_name)))[: RECORDINGS + 1]
    for at, stem in enumerate(common[:RECORDINGS]):
        made = {
            "source": by_name[0][stem],
            "nothing": by_name[0][stem],
            "other speaker": by_name[1][stem],
            "target": by_name[2][stem],
            "other words": by_name[0][common[at + 1]],
        }
        for kind, path in made.items():
            (root / kind / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / kind / name / f"{stem}{path.suffix}")
        change_voice(by_name[0][stem], root / "voice" / name / f"{stem}.wav", formants=1.15, pitch=1.5)


if __name__ == "__main__":
    main()
