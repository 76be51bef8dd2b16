import pytest

from accent.configuration import load
from accent.errors import AccentError
from shards.loading.config import BatchConfig


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accents_per_batch", 0),
        ("speakers_per_accent", 0),
        ("utterances_per_speaker", 0),
        ("crop_frames", 0),
        ("evaluation_frames_per_batch", 0),
        ("workers", -1),
    ],
)
def test_impossible_settings_are_refused_by_name(key: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{key}: {value} is too small, at least "):
        BatchConfig(**{key: value})


def test_an_unknown_policy_is_refused_and_a_known_one_can_be_configured() -> None:
    with pytest.raises(ValueError, match=r"^damaged: 'ignore' is unknown; allowed: stop, skip$"):
        BatchConfig(damaged="ignore")
    assert load(BatchConfig, {"damaged": "skip", "crop_frames": None}, ["verify=true"]) == BatchConfig(
        damaged="skip", verify=True
    )
    with pytest.raises(AccentError, match="damaged"):
        load(BatchConfig, {"damaged": "ignore"})
