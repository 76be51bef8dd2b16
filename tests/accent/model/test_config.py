"""The model's configuration: presets, files, and what is refused."""

import dataclasses
from typing import get_args

import pytest

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.features.schema import FAMILY_NAMES
from accent.model.config import Mode, ModelConfig

SMALL = ModelConfig(hidden=16, blocks=2, layers=2, heads=2, embedding_dim=8, dropout=0.0)


@pytest.mark.parametrize("preset", list(ModelConfig.PRESETS))
def test_a_preset_is_the_same_from_a_file_and_from_python(preset: str) -> None:
    assert load(ModelConfig, {"preset": preset}) == ModelConfig.from_preset(preset)
    assert load(ModelConfig, to_mapping(ModelConfig.from_preset(preset))) == ModelConfig.from_preset(preset)


@pytest.mark.parametrize("normalisation", get_args(Mode))
def test_the_choice_of_normalisation_and_deltas_survives_a_file(normalisation: str) -> None:
    words = [f"normalisation={normalisation}", "deltas=1", "delta_families=[mel,prosody]"]
    config = load(ModelConfig, {"preset": "tiny"}, words)
    assert load(ModelConfig, to_mapping(config)) == config
    assert config.normalisation == normalisation
    assert [config.slope_orders(name) for name in FAMILY_NAMES] == [1, 0, 0, 0, 1, 0, 0]
    with pytest.raises(ValueError, match="normalisation"):
        ModelConfig(normalisation="nobody")  # type: ignore[arg-type]


def test_a_configuration_written_before_there_was_a_choice_means_what_it_meant() -> None:
    config = load(ModelConfig, {"preset": "tiny"})
    assert config.normalisation == "corpus"
    assert {name: config.slope_orders(name) for name in FAMILY_NAMES if config.slope_orders(name)} == {"mfcc": 2}


def test_base_is_what_no_arguments_give() -> None:
    assert ModelConfig() == ModelConfig.from_preset("base")


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("preset=huge", "preset"),
        ("families=[mel,smell]", "families"),
        ("families=[]", "families"),
        ("accents=[Hindi,Hindi]", "accents"),
        ("heads=3", "heads"),
        ("kernel=4", "kernel"),
        ("dropout=1.0", "dropout"),
        ("layers=0", "layers"),
        ("accent_scale=0", "accent_scale"),
        ("normalisation=nobody", "normalisation"),
        ("deltas=3", "deltas"),
        ("deltas=-1", "deltas"),
        ("delta_families=[smell]", "delta_families"),
        ("delta_families=[mel,mel]", "delta_families"),
        ("hiden=64", "hiden"),
    ],
)
def test_an_impossible_value_is_refused_by_name(word: str, key: str) -> None:
    with pytest.raises(AccentError, match=key):
        load(ModelConfig, overrides=[word])


def test_the_name_of_a_preset_without_its_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match="from_preset"):
        ModelConfig(preset="tiny")
    with pytest.raises(ValueError, match="preset"):
        ModelConfig.from_preset("huge")


def test_families_are_ordered_as_they_are_stored() -> None:
    config = dataclasses.replace(SMALL, families=("voice", "mel", "prosody"))
    assert config.ordered_families == ("mel", "prosody", "voice")
