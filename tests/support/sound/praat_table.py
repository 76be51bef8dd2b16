"""The table of phones as a script of Praat makes it: what `accent measure --per phone` is held against.

The script is what a phonetician writes: it reads sound and TextGrid, makes Praat's objects with the settings that our
codebook names, asks for the values at the middle of each phone and for means over its thirds, and saves a table.
Parselmouth runs it inside this process; the interpreter, the analyses and their numbers are Praat's.

Cost: 10 to 70 ms a second of sound, by the measures asked for.
"""

from pathlib import Path

import pandas as pd
from parselmouth.praat import run

from accent.features.phones import SILENCE

BASIC = ("f0_hz", "intensity_db", "f1_hz", "f2_hz", "f3_hz", "f4_hz")
VOICE = ("hnr_db", "jitter_local", "shimmer_local", "cpp_db")
"""The script measures these with `voice`: harmonicity over thirds too, the other three at the middle only."""

SCRIPT = """
form Table of phones
    text sound_file
    text textgrid_file
    text table_file
    real formant_ceiling 5000
    boolean voice 1
endform

grid = Read from file: textgrid_file$
tier = 0
tiers = Get number of tiers
for number to tiers
    name$ = Get tier name: number
    if name$ = "phones"
        tier = number
    endif
endfor
sound = Read from file: sound_file$
pitch = To Pitch (ac): 0.01, 75, 15, "no", 0.03, 0.45, 0.01, 0.35, 0.14, 600
selectObject: sound
intensity = To Intensity: 75, 0.01, "yes"
selectObject: sound
formant = To Formant (burg): 0.01, 5, formant_ceiling, 0.025, 50
if voice
    selectObject: sound
    harmonicity = To Harmonicity (ac): 0.01, 75, 0.1, 4.5
    selectObject: sound, pitch
    pulses = To PointProcess (cc)
    selectObject: sound
    cepstrogram = To PowerCepstrogram: 60, 0.01, 5000, 50
endif

text$ = "phone" + tab$ + "start_seconds" + tab$ + "duration_seconds"
for place to 4
    if place = 1
        place$ = "mid_"
    else
        place$ = "third" + string$ (place - 1) + "_"
    endif
    text$ = text$ + tab$ + place$ + "f0_hz" + tab$ + place$ + "intensity_db"
    for number to 4
        text$ = text$ + tab$ + place$ + "f" + string$ (number) + "_hz"
    endfor
    if voice
        text$ = text$ + tab$ + place$ + "hnr_db"
    endif
endfor
if voice
    text$ = text$ + tab$ + "mid_jitter_local" + tab$ + "mid_shimmer_local" + tab$ + "mid_cpp_db"
endif
text$ = text$ + newline$

selectObject: grid
intervals = Get number of intervals: tier
for interval to intervals
    selectObject: grid
    label$ = Get label of interval: tier, interval
    if label$ <> "" and label$ <> "sil"
        start = Get start time of interval: tier, interval
        end = Get end time of interval: tier, interval
        middle = (start + end) / 2
        text$ = text$ + label$ + tab$ + string$ (start) + tab$ + string$ (end - start)
        for place to 4
            left = start + (place - 2) * (end - start) / 3
            right = left + (end - start) / 3
            selectObject: pitch
            if place = 1
                value = Get value at time: middle, "Hertz", "linear"
            else
                value = Get mean: left, right, "Hertz"
            endif
            text$ = text$ + tab$ + string$ (value)
            selectObject: intensity
            if place = 1
                value = Get value at time: middle, "cubic"
            else
                value = Get mean: left, right, "dB"
            endif
            text$ = text$ + tab$ + string$ (value)
            selectObject: formant
            for number to 4
                if place = 1
                    value = Get value at time: number, middle, "hertz", "linear"
                else
                    value = Get mean: number, left, right, "hertz"
                endif
                text$ = text$ + tab$ + string$ (value)
            endfor
            if voice
                selectObject: harmonicity
                if place = 1
                    value = Get value at time: middle, "cubic"
                else
                    value = Get mean: left, right
                endif
                text$ = text$ + tab$ + string$ (value)
            endif
        endfor
        if voice
            selectObject: pulses
            value = Get jitter (local): middle - 0.15, middle + 0.15, 0.0001, 0.02, 1.3
            text$ = text$ + tab$ + string$ (value)
            selectObject: sound, pulses
            value = Get shimmer (local): middle - 0.15, middle + 0.15, 0.0001, 0.02, 1.3, 1.6
            text$ = text$ + tab$ + string$ (value)
            selectObject: cepstrogram
            slice = To PowerCepstrum (slice): middle
            value = Get peak prominence: 60, 333.3, "parabolic", 0.001, 0.05, "Straight", "Robust"
            text$ = text$ + tab$ + string$ (value)
            removeObject: slice
        endif
        text$ = text$ + newline$
    endif
endfor
writeFile: table_file$, text$
removeObject: sound, grid, pitch, intensity, formant
if voice
    removeObject: harmonicity, pulses, cepstrogram
endif
"""


def save_praat_table(sound: Path, textgrid: Path, table: Path, formant_ceiling_hz: float, voice: bool) -> None:
    """Let Praat measure a recording and save the table, with tabs between its columns.

    Args:
        sound: the sound file.
        textgrid: with a tier `phones`.
        table: the file to write.
        formant_ceiling_hz: of the speaker.
        voice: measure `VOICE` too.
    """
    run(SCRIPT, str(sound), str(textgrid), str(table), formant_ceiling_hz, voice)


def read_praat_table(table: Path) -> pd.DataFrame:
    """Return what Praat saved, with NaN where it says that a value is undefined."""
    found = pd.read_csv(table, sep="\t", na_values=["--undefined--"], keep_default_na=False)
    return found[found.phone != SILENCE].reset_index(drop=True)
