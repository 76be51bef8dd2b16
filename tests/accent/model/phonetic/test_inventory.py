"""Units: phones in their left contexts, and thirds of them."""

import numpy as np

from accent.features.phones import PHONES
from accent.model.phonetic.inventory import Inventory, build_inventory, segments

A, B, C = (PHONES.index(phone) for phone in ("AA", "B", "CH"))


def utterance(*said: tuple[int, int]) -> np.ndarray:
    return np.concatenate([np.full(frames, phone) for phone, frames in said]).astype(np.int16)


def test_segments_put_together_give_the_frames_back():
    phones_T = utterance((0, 3), (A, 5), (B, 1), (A, 2))
    found = segments(phones_T)
    assert np.array_equal(np.repeat(found.phone_P, found.length_P), phones_T)
    assert found.start_P.tolist() == [0, 3, 8, 9]


def test_frames_outside_the_alignment_and_unknown_speech_are_silence():
    phones_T = np.array([-1, -1, PHONES.index("spn"), A])
    assert segments(phones_T).phone_P.tolist() == [0, A]


def test_a_context_becomes_a_unit_only_if_enough_speakers_say_it():
    common = [(speaker, utterance((0, 2), (A, 3), (B, 3))) for speaker in range(10)]
    rare = [(0, utterance((0, 2), (C, 3), (B, 3)))]
    names = build_inventory([*common, *rare], least_share=0.2).names
    assert "AA-B" in names and "CH-B" not in names
    assert names[0] == "*-sil" and {"*-AA", "*-B", "*-CH"} <= set(names)


def test_a_rare_context_falls_back_on_the_phone():
    inventory = Inventory(["*-sil", "AA-B", "*-AA", "*-B"])
    assert inventory.unit_of(A, B) == 1
    assert inventory.unit_of(0, B) == 3
    assert inventory.unit_of(A, C) == -1


def test_states_run_through_the_thirds_of_each_unit():
    inventory = Inventory(["*-sil", "AA-B", "*-AA", "*-B"])
    states_T = inventory.states(utterance((0, 3), (A, 6), (B, 4)))
    assert states_T.tolist() == [0, 1, 2, 6, 6, 7, 7, 8, 8, 3, 3, 4, 5]


def test_a_phone_that_the_inventory_lacks_has_no_state():
    inventory = Inventory(["*-sil", "*-AA"])
    assert inventory.states(utterance((A, 3), (C, 2)))[3:].tolist() == [-1, -1]
