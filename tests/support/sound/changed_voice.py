"""Real speech in another voice: formants and pitch moved by Praat, words and timing kept."""

from pathlib import Path

import parselmouth
import soundfile
from parselmouth.praat import call


def change_voice(source: Path, target: Path, formants: float, pitch: float) -> None:
    """Resynthesise a recording.

    Args:
        source: sound file.
        target: WAV file to write.
        formants: factor of all formants.
        pitch: factor of the median pitch.
    """
    samples, rate = soundfile.read(source, always_2d=True)
    sound = parselmouth.Sound(samples.mean(1), rate)
    median = call(call(sound, "To Pitch", 0.0, 75, 600), "Get quantile", 0, 0, 0.5, "Hertz")
    # Arguments: pitch floor and ceiling, formant shift, new median, pitch range and duration as they are.
    changed = call(sound, "Change gender", 75, 600, formants, median * pitch, 1, 1)
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, changed.values[0].clip(-1, 1), rate, subtype="PCM_16")
