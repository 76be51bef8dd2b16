"""What ZeRO does not train is refused in one line."""

import pytest

from launch.run_config import write_config
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import small_config


def test_the_branch_phones_is_refused_in_one_line(shards, tmp_path):
    pytest.importorskip("deepspeed")
    write_config(small_config(tmp_path / "run", shards, "model.preset=phonetic"), tmp_path / "run.yaml")
    with Ranks([str(tmp_path / "run.yaml")], tmp_path / "printed", 2, zero_stage=2) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        lines = [line for line in ranks.printed().splitlines() if line.startswith("accent: ")]
    assert lines == [
        "accent: model.branch=phones has never been trained with ZeRO, and its model is small: use "
        "configs/accelerate/node.yaml or cpu.yaml"
    ]
