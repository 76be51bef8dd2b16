"""Phone heads that also learn from transcripts: whose are read, which rows of a batch they fit, and runs with them."""

from pathlib import Path

import pytest
import torch

from accent.errors import AccentError
from accent.features.phones import PHONES
from accent.model.phonetic.inventory import Inventory
from launch.run_config import RunConfig
from launch.training.run import train_run
from launch.training.tasks.transcripts import Transcript, read_transcripts, whole_rows
from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from shards.shard_set.manifest import ShardSet
from tests.launch.training.tasks.test_phonetic import configured
from tests.support.training.small_runs import ACCENTS, assert_same_weights, last_weights, small_shards

pytest.importorskip("pocketsphinx")

ALIGNED = [f"{accent[0]}{number}" for accent in ACCENTS for number in (0, 1)]
EVERY_PHONE = Inventory([f"*-{phone}" for phone in PHONES[:-1]])


def shards_with(folder: Path, text: str | None, **extra: str) -> ShardSet:
    """Speakers 0 and 1 of each accent are aligned, all have the text."""
    return small_shards(folder, phones=ALIGNED, phone_frames=6, lengths=(50, 80), text=text, extra=extra)


def test_the_phones_are_the_dictionarys_and_only_of_utterances_without_alignment_that_a_crop_can_hold(tmp_path):
    shard_set = shards_with(tmp_path, "The black cat!")
    loader = TrainingLoader(shard_set, config=BatchConfig(crop_frames=65))
    found = read_transcripts(loader, EVERY_PHONE)
    expected = {
        number
        for number, row in enumerate(shard_set.index)
        if shard_set.speakers[row["speaker"]] not in ALIGNED and row["frames"] <= 65
    }
    assert set(found.by_sample) == expected and 0 < len(expected) < 36
    one = next(iter(found.by_sample.values()))
    # Equal neighbours, the K of `black` and that of `cat`, are one.
    assert [PHONES[phone] for phone in one.phone_L] == ["DH", "AH", "B", "L", "AE", "K", "AE", "T"]
    assert f"{len(expected)} utterances have a transcript and no alignment" in found.note
    assert f"{36 - len(expected)} longer than the crops of 65 frames" in found.note


@pytest.mark.parametrize(
    ("text", "extra", "why"),
    [
        (None, {}, "36 without a transcript"),
        ("a zyzzyvaxy cat", {}, "36 with words that the dictionary lacks"),
        ("the cat", {"language": "de"}, "36 of another language than English"),
    ],
)
def test_what_has_no_phones_is_left_out_and_nothing_left_is_one_line(tmp_path, text, extra, why):
    loader = TrainingLoader(shards_with(tmp_path, text, **extra), config=BatchConfig(crop_frames=80))
    with pytest.raises(AccentError, match=rf"losses\.ctc: none of the 36 .*{why}") as fault:
        read_transcripts(loader, EVERY_PHONE)
    assert "\n" not in str(fault.value)


def test_only_rows_that_surely_hold_the_whole_utterance_have_labels():
    known = {number: Transcript(torch.tensor([1, 2]), frames) for number, frames in enumerate((8, 10, 10, 7, 1))}
    frames_B = torch.tensor([8, 10, 9, 10, 1, 5])
    batch = Batch(
        torch.zeros(6, 10, 1),
        torch.arange(10) < frames_B[:, None],
        torch.zeros(6, 10),
        *(torch.zeros(6, dtype=torch.long) for _ in range(3)),
        torch.tensor([0, 1, 2, 3, 4, -1]),
    )
    # Row 3, of 7 frames, was slowed down until it filled its row; row 4 has fewer frames than phones.
    assert set(whole_rows(known, batch)) == {0, 1, 2}


def phones_run(run: Path, shards: Path, *words: str) -> RunConfig:
    return configured(
        run,
        shards,
        "objective=phones",
        "batch.crop_frames=80",
        "optimizer.final_lr=3e-3",
        "optimizer.warmup_steps=0",
        "epochs=2",
        *words,
    )


def test_a_run_says_what_it_uses_shows_the_loss_and_resumes_exactly(tmp_path, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shards = shards_with(tmp_path / "shards", "The black cat!").root
    train_run(phones_run(tmp_path / "whole", shards, "losses.ctc=0.5"))
    assert "CTC: " in capsys.readouterr().out
    curves = EventAccumulator(str(tmp_path / "whole" / "tensorboard")).Reload()
    assert all(point.value > 0 for point in curves.Scalars("loss/ctc"))
    train_run(phones_run(tmp_path / "parts", shards, "losses.ctc=0.5", "epochs=1"))
    train_run(phones_run(tmp_path / "parts", shards, "losses.ctc=0.5"))
    assert_same_weights(tmp_path / "parts", tmp_path / "whole")
    train_run(phones_run(tmp_path / "off", shards))
    assert "CTC" not in capsys.readouterr().out.split("resuming")[-1]
    off, on = last_weights(tmp_path / "off"), last_weights(tmp_path / "whole")
    assert any(not torch.equal(off[name], on[name]) for name in off if "heads" in name)
