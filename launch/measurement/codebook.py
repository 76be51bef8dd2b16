"""What each column of a table is: its header with the unit, what it measures, the settings, the source.

Everything derives from the two lists of the features, `accent.features.schema` and `accent.features.utterance`; a
column that nothing here describes is an error.  Cost: none.
"""

import re
from dataclasses import dataclass

from accent.features.config import FeatureConfig
from accent.features.definitions import INTENSITY_PERIODS, MEL_FROM_HZ, MEL_TO_HZ, N_FFT, WINDOW
from accent.features.schema import N_MELS
from accent.features.voice_onset import BURST_FROM_HZ, LEAST_RISE_DB

_FRICATIVE = re.compile(r"(f|v|th|dh|s|z|sh|zh)_(centre_of_gravity_hz|spread_hz|skewness|kurtosis)")


@dataclass(frozen=True)
class Entry:
    """One measure of the codebook."""

    column: str
    """Name in the featurizer."""
    header: str
    """Name in the tables: with the unit at its end where the column's own name has none."""
    what: str
    unit: str
    setting: str
    """As Praat names its settings, where the measure is Praat's."""
    source: str


def describe(column: str, config: FeatureConfig) -> Entry:
    """Return the codebook's entry for a column of frames or a value of utterances.

    Args:
        column: a name of `COLUMNS` or of `UTTERANCE_COLUMNS`.
        config: the settings that were measured with.

    Raises:
        KeyError: there is no such column.
    """
    for pattern, what, unit, suffix, setting, source in _entries(config):
        if re.fullmatch(pattern, column):
            return Entry(column, column + suffix, what, unit, setting, source)
    raise KeyError(column)


def _entries(config: FeatureConfig) -> tuple[tuple[str, str, str, str, str, str], ...]:
    """Return pattern, what, unit, suffix of the header, setting and source of every column."""
    ceilings = f"formant ceiling {config.formant_ceiling_for(None):g} Hz, men {config.formant_ceiling_for('male'):g} Hz"
    pitch = (
        f"pitch floor {config.pitch_floor_hz:g} Hz, pitch ceiling {config.pitch_ceiling_hz:g} Hz, silence threshold "
        f"{config.pitch_silence_threshold:g}, voicing threshold {config.pitch_voicing_threshold:g}, octave cost "
        f"{config.pitch_octave_cost:g}, octave-jump cost {config.pitch_octave_jump_cost:g}, voiced/unvoiced cost "
        f"{config.pitch_voiced_unvoiced_cost:g}"
    )
    formants = (
        f"{ceilings}, number of formants {config.formants_below_ceiling}, window length "
        f"{config.formant_window_seconds:g} s, pre-emphasis from {config.formant_pre_emphasis_hz:g} Hz"
    )
    window = f"window {WINDOW} samples at 16 kHz, {N_FFT} points"
    loudness = f"read at {config.audio.loudness_lufs} LUFS, high-pass {config.audio.highpass_hz} Hz"
    spectral = f"{window}; {loudness}"
    mel = f"{N_MELS} bands from {MEL_FROM_HZ:g} to {MEL_TO_HZ:g} Hz, {spectral}"
    periods = f"maximum period factor {config.max_period_factor:g}"
    perturbation = f"{periods}, maximum amplitude factor {config.max_amplitude_factor:g}, pulses from {pitch}"
    around = f"pulses within {config.jitter_window_seconds:g} s of the frame; {perturbation}"
    cpp = (
        f"pitch floor {config.cpp_floor_hz:g} Hz, pitch ceiling {config.cpp_ceiling_hz:g} Hz, trend line from "
        f"{config.cpp_trend_from_seconds:g} to {config.cpp_trend_to_seconds:g} s, straight, robust"
    )
    pause = f"{config.pause_below_db:g} dB below the loud parts for at least {config.pause_min_seconds:g} s"
    aligned = "from the phones of the TextGrid"
    boersma = "Boersma 1993; Praat: To Pitch (ac)"
    voice = "Praat manual: Voice 2 and Voice 3"
    hnr = (
        f"minimum pitch {config.hnr_floor_hz:g} Hz, silence threshold {config.hnr_silence_threshold:g}, periods per "
        f"window {config.hnr_periods_per_window:g}"
    )
    return (
        (r"mel_\d+", "log mel energy", "dB", "_db", mel, "librosa: melspectrogram, power_to_db"),
        (r"mfcc_\d+", "mel cepstral coefficient", "dB", "_db", mel, "cosine transform of the log mel energies"),
        (r"chroma_\d+", "energy of a pitch class", "of the strongest", "_ratio", spectral, "librosa: chroma_stft"),
        ("centroid_hz", "spectral centroid", "Hz", "", spectral, "librosa: spectral_centroid"),
        ("bandwidth_hz", "spectral bandwidth", "Hz", "", spectral, "librosa: spectral_bandwidth"),
        ("rolloff_hz", "spectral roll-off", "Hz", "", spectral, "librosa: spectral_rolloff"),
        ("log_flatness", "spectral flatness", "natural logarithm", "_ln", spectral, "librosa: spectral_flatness"),
        (r"contrast_\d_db", "spectral contrast", "dB", "", spectral, "librosa: spectral_contrast"),
        ("zero_crossing_rate", "zero crossings", "a sample", "_per_sample", loudness, "librosa: zero_crossing_rate"),
        ("rms_db", "root mean square", "dB", "", spectral, "librosa: rms"),
        ("f0_hz", "fundamental frequency of voiced frames", "Hz", "", pitch, boersma),
        ("voicing_strength", "best autocorrelation, voiced or not", "0 to 1", "_ratio", pitch, boersma),
        (
            "intensity_db", "intensity", "dB re 2e-5", "",
            f"minimum pitch {config.pitch_floor_hz:g} Hz (window of {INTENSITY_PERIODS:g} periods), mean subtracted",
            "Praat: To Intensity",
        ),
        (r"f[1-4]_hz", "formant", "Hz", "", formants, "Praat: To Formant (burg)"),
        (r"b[1-4]_hz", "bandwidth of the formant", "Hz", "", formants, "Praat: To Formant (burg)"),
        ("hnr_db", "harmonics-to-noise ratio", "dB", "", hnr, "Boersma 1993; Praat: To Harmonicity (ac)"),
        (r"(jitter|shimmer)_local", "perturbation: mean difference of neighbours over the mean", "ratio", "_ratio",
         around, voice),
        (r"(jitter_(rap|ppq5)|shimmer_apq[35])", "perturbation smoothed over neighbours", "ratio", "_ratio",
         perturbation, voice),
        ("vot_ms", "voice onset time of stops: burst to onset of voicing, negative where voicing leads", "ms", "",
         f"burst above {BURST_FROM_HZ:g} Hz rises by {LEAST_RISE_DB:g} dB or more, pulses from {pitch}; {aligned}",
         "Lisker and Abramson 1964; see accent/features/voice_onset.py"),
        ("cpp_db", "cepstral peak prominence", "dB", "", cpp, "Hillenbrand 1994; Praat: PowerCepstrogram"),
        ("cpps_db", "smoothed cepstral peak prominence", "dB", "", cpp, "Maryn and Weenink 2015"),
        ("h1_h2_db", "first against second harmonic", "dB", "", pitch, "by definition, uncorrected"),
        ("h1_h2_corrected_db", "first against second harmonic, corrected for formants", "dB", "",
         f"{pitch}; {formants}", "Iseli, Shue and Alwan 2007"),
        ("tilt_db_octave", "spectral tilt", "dB an octave", "", f"up to {config.tilt_ceiling_hz:g} Hz",
         "straight line through harmonics over octaves"),
        ("hnr_mean_db", "mean harmonics-to-noise ratio of the voiced frames", "dB", "", pitch, "Praat: voice report"),
        ("duration_seconds", "length of the kept region", "s", "", f"trimmed at {config.audio.trim_db} dB", "by count"),
        ("speech_share", "share of the region that is no pause", "ratio", "_ratio", pause, "de Jong and Wempe 2009"),
        ("pause_count", "pauses", "count", "", pause, "de Jong and Wempe 2009"),
        ("pause_mean_seconds", "mean pause", "s", "", pause, "de Jong and Wempe 2009"),
        ("syllables_per_second", "syllable nuclei a second of speech", "1/s", "",
         f"dips of {config.syllable_dip_db:g} dB", "de Jong and Wempe 2009"),
        ("voiced_share", "share of frames that are voiced", "ratio", "_ratio", pitch, boersma),
        ("f0_median_hz", "median of F0", "Hz", "", pitch, boersma),
        ("f0_range_semitones", "5th to 95th percentile of F0", "semitones", "", pitch, boersma),
        ("phones_per_second", "phones a second without pauses", "1/s", "", aligned, "by definition"),
        ("percent_v", "share of time that is vocalic", "%", "", aligned, "Ramus, Nespor and Mehler 1999"),
        ("delta_c_ms", "deviation of consonantal intervals", "ms", "", aligned, "Ramus, Nespor and Mehler 1999"),
        ("varco_v_percent", "deviation of vocalic intervals over their mean", "%", "", aligned,
         "White and Mattys 2007"),
        ("npvi_v", "normalised variability of neighbouring vocalic intervals", "index", "", aligned,
         "Grabe and Low 2002"),
        ("rpvi_c_ms", "variability of neighbouring consonantal intervals", "ms", "", aligned, "Grabe and Low 2002"),
        (r"mean_duration_[a-z]+_seconds", "mean duration of the phone", "s", "", aligned, "by definition"),
        ("vowel_space_area_lobanov", "convex hull of the monophthongs", "squared deviations", "_sd2",
         f"{formants}; {aligned}", "Lobanov 1971"),
        (_FRICATIVE.pattern.replace("centre_of_gravity_hz|spread_hz|", ""), "shape of the fricative's spectrum",
         "index", "", f"from {config.fricative_lowest_hz:g} Hz; {aligned}", "Forrest et al. 1988"),
        (_FRICATIVE.pattern, "place or spread of the fricative's spectrum", "Hz", "",
         f"from {config.fricative_lowest_hz:g} Hz; {aligned}", "Forrest et al. 1988"),
    )  # fmt: skip
