"""JSON that any reader accepts."""

import json

import numpy as np

from accent.strict_json import to_json


def test_what_json_cannot_hold_becomes_what_it_can():
    value = {"nan": float("nan"), "inf": -np.inf, 1: np.float32(0.5), "list": (np.int64(2), None, "ɹ", np.nan)}

    def refuse(word: str) -> None:
        raise AssertionError(word)

    back = json.loads(to_json(value), parse_constant=refuse)
    assert back == {"nan": None, "inf": None, "1": 0.5, "list": [2, None, "ɹ", None]}


def test_one_line_without_blanks_unless_indented():
    assert to_json({"a": [1, 2]}) == b'{"a":[1,2]}\n'
    assert to_json({"a": 1}, indent=1) == b'{\n "a": 1\n}\n'
