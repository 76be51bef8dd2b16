"""A lock that an interrupted compilation left behind stops no ZeRO run: nothing is compiled."""

import os

import pytest

from launch.run_config import write_config
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import small_config


def test_a_lock_left_in_the_extensions_folder_does_not_block(shards, tmp_path):
    pytest.importorskip("deepspeed")
    extensions = tmp_path / "extensions"
    (extensions / "deepspeed_shm_comm").mkdir(parents=True)
    # torch waits for ever while a file of this name is there.
    (extensions / "deepspeed_shm_comm" / "lock").touch()

    write_config(small_config(tmp_path / "run", shards, "epochs=1"), tmp_path / "run.yaml")
    with Ranks([str(tmp_path / "run.yaml")], tmp_path / "out", 2, zero_stage=2, sabotage=_Points(extensions)) as ranks:
        assert ranks.wait(200) == [0, 0], ranks.printed()
    assert [path.name for path in (extensions / "deepspeed_shm_comm").iterdir()] == ["lock"]


class _Points:
    """Sets the extensions folder in each process; a class, because a process is started from its pickle."""

    def __init__(self, folder) -> None:
        self.folder = str(folder)

    def __call__(self, rank: int) -> None:
        os.environ["TORCH_EXTENSIONS_DIR"] = self.folder
