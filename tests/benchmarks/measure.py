"""What `accent measure --per phone` costs beside a script of Praat that makes the same table, on one core.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.measure CORPUS

Praat runs its script (`tests.support.sound.praat_table`) through parselmouth, recording by recording, and saves a table
of each; ours reads the same files, measures them in one process, saves one table.  The two take turns, several times;
processor time of the fastest turn counts, so that other work on the machine does not.  Two tables: F0, intensity and
formants; and these with harmonicity, jitter, shimmer and cepstral peak prominence.  Ours always computes all columns of
the features, whatever is asked for.  Where a bound is set it stands beside the figure: no test asserts a time.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import soundfile
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from accent.features.config import FeatureConfig
from launch.measurement.measure import measure
from launch.measurement.recordings import Recording, list_recordings
from launch.measurement.table_file import write_table
from tests.support.sound.praat_table import BASIC, VOICE, save_praat_table

CONFIG = FeatureConfig(formant_ceiling_male_hz=5000.0)
LEAST_RATIO = {"F0, intensity, F1-F4": None, "the same, HNR, jitter, shimmer, CPP": 10}
"""How many times as fast as Praat's script a table is meant to be."""


def main(
    corpus: Annotated[Path, typer.Argument(help="A corpus with TextGrids.")],
    recordings: Annotated[int, typer.Option(help="How many of its recordings, evenly spread.")] = 20,
    repeats: Annotated[int, typer.Option(help="Turns of each; the fastest counts.")] = 3,
) -> None:
    """Measure what a table of phones costs, beside Praat."""
    every = [one for one in list_recordings(corpus)[0] if one.textgrid is not None]
    chosen = every[:: max(1, len(every) // recordings)][:recordings]
    sound_seconds = sum(soundfile.info(one.path).duration for one in chosen)
    table = Table(title=f"ms a second of sound on one core: {len(chosen)} recordings, {sound_seconds:.0f} s")
    for heading in ("table of phones", "accent measure", "Praat's script", "ratio", "at least"):
        table.add_column(heading, justify="left" if heading == "table of phones" else "right")
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        # Not counted: kernels are compiled or loaded.
        ours(chosen[:1], False, Path(folder))
        for voice, (name, least) in enumerate(LEAST_RATIO.items()):
            spent = [float("inf")] * 2
            for _ in track(range(repeats), name, console=console, transient=True):
                for place, contestant in enumerate((ours, praats)):
                    spent[place] = min(spent[place], processor_seconds(contestant, chosen, bool(voice), Path(folder)))
            ratio = spent[1] / spent[0]
            bound = "" if least is None else f"{least}{', under' if ratio < least else ''}"
            table.add_row(name, *(f"{1000 * one / sound_seconds:.2f}" for one in spent), f"{ratio:.1f}", bound)
    console.print(table)


def ours(recordings: Sequence[Recording], voice: bool, folder: Path) -> None:
    """Make and save our table."""
    columns = (*BASIC, *VOICE) if voice else BASIC
    write_table(folder / "ours.csv", measure(recordings, "phone", columns, CONFIG, workers=1).table)


def praats(recordings: Sequence[Recording], voice: bool, folder: Path) -> None:
    """Let Praat make and save its tables."""
    for number, one in enumerate(recordings):
        assert one.textgrid is not None
        ceiling_hz = CONFIG.formant_ceiling_for(one.sex)
        save_praat_table(one.path, one.textgrid, folder / f"praat-{number}.tsv", ceiling_hz, voice)


def processor_seconds(call: Callable[..., Any], *arguments: object) -> float:
    """Return the processor time of a call in this process."""
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


if __name__ == "__main__":
    typer.run(main)
