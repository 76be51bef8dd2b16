"""A disk that is full, or has torn a file, is named by one line, and what was saved before is whole."""

from launch.training.engines import data_parallel
from tests.support.training.two_processes import LONG, saved_steps, started


def _full_disk_at_the_second_checkpoint(rank: int) -> None:
    genuine, calls = data_parallel.save_file, []

    def full(*arguments):
        calls.append(0)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return genuine(*arguments)

    data_parallel.save_file = full


def test_a_full_disk_in_the_background_ends_all_and_leaves_the_last_good_checkpoint(shards, tmp_path):
    with started(tmp_path, shards, *LONG, sabotage=_full_disk_at_the_second_checkpoint) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        line = ranks.printed(0).splitlines()[-1]
    assert "step_00000004: cannot save a checkpoint ([Errno 28] No space left on device); check free space" in line
    assert "; the last" in line
    assert line.endswith("step_00000002")
    assert saved_steps(tmp_path / "run") == ["step_00000002"]


def test_a_torn_share_is_named_and_all_processes_resume_from_the_checkpoint_before(shards, tmp_path):
    words = ("epochs=2", "validate_every_epochs=2")
    with started(tmp_path, shards, *words, zero_stage=3) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    share = next((tmp_path / "run" / "checkpoints" / "step_00000006" / "zero").glob("*rank_1*optim*"))
    share.write_bytes(share.read_bytes()[:1000])
    with started(tmp_path, shards, *words, zero_stage=3) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert f"{share.name}: 1000 bytes long, " in ranks.printed(0)
        assert "resuming at step 5 of 6" in ranks.printed(0)
