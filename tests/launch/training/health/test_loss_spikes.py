"""A loss that jumps is told once and counted; noise, a slow rise and a loss that hardly moves are not."""

import math

import numpy as np

from launch.training.health.loss_spikes import FEWEST_POINTS, REPEAT_SECONDS, LossSpikes


def looked(losses, seconds=1.0):
    spikes = LossSpikes()
    lines = [spikes.look(step, loss, step * seconds) for step, loss in enumerate(losses)]
    return spikes.count, [step for step, line in enumerate(lines) if line is not None]


def test_noise_around_a_falling_loss_is_no_spike():
    noise = np.random.default_rng(0).normal(size=2000)
    assert looked((3 * math.exp(-step / 300) + 0.5) * (1 + 0.1 * noise[step]) for step in range(2000)) == (0, [])


def test_each_spike_is_counted_and_told_again_only_after_a_while():
    losses = [1.0 + 0.01 * (step % 3) for step in range(100)]
    losses[30] = losses[35] = losses[90] = 4.0
    assert looked(losses) == (3, [30])
    assert looked(losses, REPEAT_SECONDS / 50) == (3, [30, 90])


def test_the_first_points_and_a_small_jump_of_a_still_loss_raise_no_alarm():
    assert looked([1.0] * (FEWEST_POINTS - 1) + [9.0]) == (0, [])
    assert looked([1.0] * 50 + [1.4]) == (0, [])
    assert looked([1.0] * 50 + [1.6]) == (1, [50])


def test_a_loss_that_is_not_finite_does_not_become_the_usual_one():
    assert looked([1.0] * 20 + [math.nan] * 30 + [5.0]) == (1, [50])
