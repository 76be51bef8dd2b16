"""A corpus made on the spot: English in several accents from espeak-ng, in L2-ARCTIC's layout.

Synthetic caricatures: good for trying the machinery, no evidence about accents.  Every accent has the same voices, so
the voice says nothing about the accent.  The same arguments give the same bytes on every run: the speech is made in a
process of its own (see `espeak`), written beside the folder and moved into place when it is whole.
Cost: 192 utterances, 480 s of speech, in 1 to 3 s.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import soundfile

from accent.errors import AccentError
from shards.corpora.synthetic.espeak import Synthesiser, Voice
from shards.corpora.synthetic.textgrid import phone_intervals, word_intervals
from shards.corpora.textgrid import write_textgrid

LANGUAGES = {
    "American": "en-us",
    "Caribbean": "en-029",
    "Scottish": "en-gb-scotland",
    "Dutch": "nl",
    "German": "de",
    "Italian": "it",
    "Polish": "pl",
    "Spanish": "es",
}
"""Accent -> espeak-ng voice.  The first three are accents of English; the others read English by their own spelling."""

ACCENTS = ("American", "Scottish", "Polish", "Spanish")
"""The accents made unless others are asked for."""

VOICES = {
    "F1": Voice("f1", pitch=45, pitch_range=50, words_per_minute=180),
    "M1": Voice("m3", pitch=50, pitch_range=50, words_per_minute=185),
    "F2": Voice("f4", pitch=52, pitch_range=40, words_per_minute=190),
    "M2": Voice("m7", pitch=42, pitch_range=60, words_per_minute=178),
    "F3": Voice("f1", pitch=62, pitch_range=65, words_per_minute=195),
    "M3": Voice("m3", pitch=32, pitch_range=40, words_per_minute=175),
    "F4": Voice("f4", pitch=66, pitch_range=55, words_per_minute=182),
    "M4": Voice("m7", pitch=58, pitch_range=45, words_per_minute=192),
}
"""Speaker of an accent -> voice; women and men in turn."""

PROMPTS = (
    # Words that espeak-ng joins into one (on the, should have) are avoided: every word has a time of its own.
    "The old boat drifted past the quiet harbour.",
    "Three strangers stood on a narrow bridge all night.",
    "She measured the kitchen table with a yellow ruler.",
    "Thick fog covered the valley before the children woke.",
    "My brother paints every window a different colour.",
    "Bring the heavy boxes upstairs and lock the door.",
    "Their father bought fresh bread and a jar of honey.",
    "We might visit that new museum next Thursday.",
    "A grey horse was waiting under the apple trees.",
    "Nobody heard the train until it reached the station.",
    "Put seven silver spoons back near the fire.",
    "He laughed and threw the last orange over the wall.",
)

RECIPE_NAME = "demo.json"
"""What the corpus was made from; a folder that has this file is whole."""

_VERSION = 1

_NOTE = """# Demo corpus

English sentences in several accents, synthesised on this machine with espeak-ng, in L2-ARCTIC's layout.

Synthetic caricatures: good for trying the machinery, no evidence about accents. American, Caribbean and Scottish are
espeak-ng's own accents of English; the others are voices of another language that read English by its spelling rules.
Every accent has the same voices, so the voice does not tell the accent.

textgrid/ has the words and phones as the synthesiser timed them. The phones are those it spoke, in the nearest ARPAbet
symbol, not those a dictionary of English expects: unlike the alignments of a real corpus, these labels know the accent.
"""


@dataclass(frozen=True)
class _Recipe:
    """Everything the corpus depends on."""

    accents: tuple[str, ...]
    voices: tuple[str, ...]
    prompts: int
    version: int = _VERSION

    def to_json(self) -> str:
        mapping = {
            "version": self.version,
            "languages": {accent: LANGUAGES[accent] for accent in self.accents},
            "voices": {name: vars(VOICES[name]) for name in self.voices},
            "prompts": PROMPTS[: self.prompts],
        }
        return json.dumps(mapping, indent=2, ensure_ascii=False) + "\n"


def make_demo_corpus(
    folder: Path,
    accents: Sequence[str] = ACCENTS,
    speakers_per_accent: int = 6,
    prompts: int = 8,
) -> Path:
    """Synthesise the demo corpus, or find it there already.

    It starts a process: a script calls it under `if __name__ == "__main__":`.

    Args:
        folder: where the corpus goes: a tree with `speakers.tsv`, wav/ (16-bit, 22.05 kHz), transcript/ and textgrid/.
        accents: names in `LANGUAGES`.
        speakers_per_accent: 1 to 8, women and men in turn.
        prompts: sentences a speaker, 1 to 12; the same for all.

    Returns:
        `folder`, absolute.

    Raises:
        AccentError: an argument out of range, or `folder` holds something else.
    """
    folder = Path(os.path.abspath(Path(folder).expanduser()))
    unknown = [accent for accent in accents if accent not in LANGUAGES]
    if unknown or not accents or len(set(accents)) < len(accents):
        what = f"no accent '{unknown[0]}'" if unknown else "no accent named" if not accents else "an accent named twice"
        raise AccentError(f"demo corpus: {what}; choose among {', '.join(LANGUAGES)}")
    limits = (("speakers_per_accent", speakers_per_accent, len(VOICES)), ("prompts", prompts, len(PROMPTS)))
    for name, value, most in limits:
        if not 1 <= value <= most:
            raise AccentError(f"demo corpus: {name}={value} is not between 1 and {most}")
    recipe = _Recipe(tuple(accents), tuple(VOICES)[:speakers_per_accent], prompts)
    if _is_there(folder, recipe):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        unfinished = Path(beside) / folder.name
        _in_fresh_process(unfinished, recipe)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        try:
            unfinished.rename(folder)
        except OSError:
            # Somebody else may have made it meanwhile.
            if not _is_there(folder, recipe):
                raise
    return folder


def _is_there(folder: Path, recipe: _Recipe) -> bool:
    if not folder.exists():
        return False
    made_from = folder / RECIPE_NAME
    if made_from.is_file() and made_from.read_text(encoding="utf-8") == recipe.to_json():
        return True
    if folder.is_dir() and not any(folder.iterdir()):
        return False
    other = "a demo corpus made with other arguments" if made_from.is_file() else "something else"
    raise AccentError(f"{folder}: {other} is here already; remove it or give another folder for the demo corpus")


def _in_fresh_process(folder: Path, recipe: _Recipe) -> None:
    """Write the corpus from a process that has never synthesised anything."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(_write, folder, recipe).result()
        except BrokenProcessPool as error:
            raise AccentError(f"{folder}: the process that runs espeak-ng died; reinstall espeakng-loader") from error


def _speakers(recipe: _Recipe) -> Iterator[tuple[str, str, str]]:
    """Yield name, accent and voice of every speaker."""
    for accent in recipe.accents:
        for voice in recipe.voices:
            yield f"{accent[:3].upper()}_{voice}", accent, voice


def _write(folder: Path, recipe: _Recipe) -> None:
    synthesiser = Synthesiser()
    table = ["speaker\taccent\tsex\tvoice"]
    for speaker, accent, voice in _speakers(recipe):
        for kind in ("wav", "transcript", "textgrid"):
            (folder / speaker / kind).mkdir(parents=True)
        for number, text in enumerate(PROMPTS[: recipe.prompts], start=1):
            _write_utterance(synthesiser, folder / speaker, f"arctic_a{number:04d}", text, accent, voice)
        sex = "female" if voice.startswith("F") else "male"
        table.append(f"{speaker}\t{accent}\t{sex}\t{voice}")
    (folder / "speakers.tsv").write_text("\n".join(table) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_NOTE, encoding="utf-8")
    (folder / RECIPE_NAME).write_text(recipe.to_json(), encoding="utf-8")


def _write_utterance(synthesiser: Synthesiser, folder: Path, name: str, text: str, accent: str, voice: str) -> None:
    spoken = synthesiser.say(text, LANGUAGES[accent], VOICES[voice])
    soundfile.write(folder / "wav" / f"{name}.wav", spoken.samples_N, spoken.rate, subtype="PCM_16")
    (folder / "transcript" / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    write_textgrid(
        folder / "textgrid" / f"{name}.TextGrid",
        len(spoken.samples_N) / spoken.rate,
        {"words": word_intervals(spoken, text), "phones": phone_intervals(spoken, LANGUAGES[accent])},
    )
