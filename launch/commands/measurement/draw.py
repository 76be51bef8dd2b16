"""`accent draw`: a picture of a recording."""

from pathlib import Path
from typing import Annotated

import typer

from launch.commands.measurement.analysis_options import (
    FORMANT_CEILING,
    FORMANT_CEILING_MALE,
    FORMANTS,
    MAX_SECONDS,
    PITCH_CEILING,
    PITCH_FLOOR,
    FormantCeiling,
    FormantCeilingMale,
    Formants,
    MaxSeconds,
    PitchCeiling,
    PitchFloor,
    Sex,
    analysis_config,
)


def draw(
    sound: Annotated[Path, typer.Argument(metavar="WAV", help="A sound file.")],
    out: Annotated[list[Path], typer.Option("--out", "-o", help="The .png or .svg file to write; may be repeated.")],
    textgrid: Annotated[
        Path | None, typer.Option(help="TextGrid with words and phones; by default the one beside the sound file.")
    ] = None,
    start: Annotated[float, typer.Option("--from", min=0, help="Seconds at which the picture begins.")] = 0.0,
    end: Annotated[float | None, typer.Option("--to", help="Seconds at which it ends; the recording's end.")] = None,
    sex: Sex = None,
    pitch_floor: PitchFloor = PITCH_FLOOR,
    pitch_ceiling: PitchCeiling = PITCH_CEILING,
    formant_ceiling: FormantCeiling = FORMANT_CEILING,
    formant_ceiling_male: FormantCeilingMale = FORMANT_CEILING_MALE,
    formants: Formants = FORMANTS,
    max_seconds: MaxSeconds = MAX_SECONDS,
) -> None:
    """Draw wave, spectrogram with formants, F0, intensity, words and phones of a recording over one time axis.

    The spectrogram has Praat's settings: windows of 5 ms, up to 5000 Hz, a dynamic range of 50 dB.

    Example: accent draw recording.wav --out picture.png
    """
    from accent.audio.prepare import load_speech
    from accent.features.extract import find_backend
    from accent.grid import SAMPLE_RATE
    from launch.extraction.sound_files import textgrid_beside
    from launch.reporting.recording_picture import check_picture_path, choose_stretch, draw_recording, read_tiers

    for path in out:
        check_picture_path(path)
    config = analysis_config(pitch_floor, pitch_ceiling, formant_ceiling, formant_ceiling_male, formants, max_seconds)
    textgrid = textgrid or textgrid_beside(sound)
    tiers = [] if textgrid is None else read_tiers(textgrid)
    speech = load_speech(sound, config.audio)
    stretch = choose_stretch(len(speech.unfiltered_N) / SAMPLE_RATE, start, end)
    frames_TD = find_backend(config.backend)(speech, config, sex).frames_TD
    draw_recording(out, speech, frames_TD, tiers, sound.name, stretch)
    print(*out, sep="\n")
