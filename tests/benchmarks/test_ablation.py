"""The ablation: every row changes the configuration, and a difference is that of the same speakers."""

import numpy as np
import pytest

from accent.configuration import load, to_mapping
from launch.run_config import RunConfig, find_config
from launch.training.identity import what_differs
from tests.benchmarks.ablation import ROWS, Row, difference_interval

CONFIG = find_config("configs/saa8k.yaml")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_changes_what_its_words_say_and_nothing_else(row: Row):
    whole, changed = load(RunConfig, CONFIG), load(RunConfig, CONFIG, list(row.words))
    differing = what_differs(to_mapping(whole), to_mapping(changed))
    assert len(differing) == len(row.words)
    of_heads = [(config.phones, config.augmentation, config.model.normalisation) for config in (whole, changed)]
    assert row.trains_heads == (of_heads[0] != of_heads[1])


def test_a_difference_between_systems_that_err_on_other_speakers_has_an_interval_around_it():
    one = np.stack([np.diag([1.0, 0.0])] * 10 + [np.diag([0.0, 1.0])] * 10)
    other = one.copy()
    other[:5] = [[0, 1], [0, 0]]
    low, high = difference_interval(one, other)
    # Half of one accent's ten speakers are wrong in the other system: a quarter in balanced accuracy.
    assert 0.05 < low < 0.25 < high < 0.45
    assert difference_interval(other, one) == pytest.approx((-high, -low))
