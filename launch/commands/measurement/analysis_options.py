"""Options of the commands that measure recordings: the settings of the analyses, as Praat names them."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from accent.errors import AccentError

if TYPE_CHECKING:
    from accent.features.config import FeatureConfig

Sex = Annotated[Literal["female", "male"] | None, typer.Option(help="Of speakers whose sex the corpus does not say.")]
PitchFloor = Annotated[float, typer.Option(help="Hz, as in Praat's pitch settings.")]
PitchCeiling = Annotated[float, typer.Option(help="Hz, as in Praat's pitch settings.")]
FormantCeiling = Annotated[float, typer.Option(help="Hz, of women and of speakers of unknown sex.")]
FormantCeilingMale = Annotated[float, typer.Option(help="Hz, of men.")]
Formants = Annotated[int, typer.Option(help="Number of formants below the ceiling; four are kept.")]
MaxSeconds = Annotated[float, typer.Option(help="Longer recordings are left out, with a line.")]

# What is drawn is what is measured: the commands share their defaults.
PITCH_FLOOR = 75.0
PITCH_CEILING = 600.0
FORMANT_CEILING = 5500.0
FORMANT_CEILING_MALE = 5000.0
FORMANTS = 5
MAX_SECONDS = 3600.0


def analysis_config(
    pitch_floor: float,
    pitch_ceiling: float,
    formant_ceiling: float,
    formant_ceiling_male: float,
    formants: int,
    max_seconds: float,
) -> "FeatureConfig":
    """Return the configuration that these options make.

    Raises:
        AccentError: a value outside its range.
    """
    from accent.audio.prepare import AudioConfig
    from accent.features.config import FeatureConfig

    try:
        return FeatureConfig(
            audio=AudioConfig(max_seconds=max_seconds),
            pitch_floor_hz=pitch_floor,
            pitch_ceiling_hz=pitch_ceiling,
            formant_ceiling_hz=formant_ceiling,
            formant_ceiling_male_hz=formant_ceiling_male,
            formants_below_ceiling=formants,
        )
    except ValueError as error:
        raise AccentError(str(error)) from error
