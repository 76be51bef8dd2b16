"""Small corpora on disk for the tests of the readers: real names and layouts, a few milliseconds of sine."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile


def write_sound(path: Path, seconds: float = 0.02, rate: int = 16_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time_N = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * time_N), rate)
    return path


def write_speaker(
    folder: Path,
    names: Iterable[str] = ("arctic_a0001", "arctic_a0002"),
    text: str | None = "Author of the danger trail",
    textgrids: bool = True,
    annotated: Iterable[str] = (),
    suffix: str = ".wav",
) -> None:
    """Write wav/, transcript/, textgrid/ and annotation/ of one speaker."""
    for name in names:
        write_sound(folder / "wav" / f"{name}{suffix}")
        if text is not None:
            _write(folder / "transcript" / f"{name}.txt", f"{text} {name[-1]}.\n")
        if textgrids:
            _write(folder / "textgrid" / f"{name}.TextGrid", "")
    for name in annotated:
        _write(folder / "annotation" / f"{name}.TextGrid", "")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
