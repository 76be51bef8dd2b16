"""`accent config`: every key, its meaning, and where its value comes from."""

import dataclasses

import pytest
from rich.console import Console

from accent.configuration import flatten, load, to_mapping
from launch.config_table import config_table, describe_keys
from launch.run_config import RunConfig
from shards.writing.processor import FeaturizeConfig


@pytest.mark.parametrize("kind", [RunConfig, FeaturizeConfig])
def test_every_key_has_a_type_and_a_meaning(kind):
    described = describe_keys(kind)
    for key in flatten(to_mapping(load(kind))):
        assert key in described or any(key.startswith(f"{one}.") for one in described), key
    assert [key for key, (kind_, meaning) in described.items() if not (kind_ and meaning)] == []


def test_values_say_where_they_come_from():
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(config_table("configs/demo.yaml", ["optimizer.lr=0.25"]))
    rows = console.export_text()

    def origin(key: str) -> str:
        """What stands after "value from" in the row of a key."""
        return rows.split(f"  {key} ")[1].split("value from ")[1].splitlines()[0].strip()

    assert origin("optimizer.lr") == "the command line"
    assert origin("epochs") == "the file"
    assert origin("model.embedding_dim") == "the preset phonetic"
    assert origin("seed") == "the default"


def test_a_field_of_a_base_class_is_described_too():
    assert "gradient_accumulation_steps" in {field.name for field in dataclasses.fields(RunConfig)}
    assert "averaged into one step" in describe_keys(RunConfig)["gradient_accumulation_steps"].meaning
