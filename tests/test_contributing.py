"""CONTRIBUTING.md names only what is there."""

import re

from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "CONTRIBUTING.md").read_text()
PLACE = re.compile(r"`([\w/]+\.py)`: `(\w+)`(?: and `(\w+)`)?")


def test_every_place_to_register_something_exists():
    places = PLACE.findall(TEXT)
    assert len(places) > 8
    for path, *names in places:
        words = set(re.findall(r"\w+", (REPOSITORY / path).read_text()))
        assert {name for name in names if name} <= words, path


def test_every_file_folder_and_target_exists():
    named = re.findall(r"`((?:accent|shards|launch|tests|configs|\.ci)/[\w/.]*)`", TEXT)
    assert len(named) > 10
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = re.findall(r"^    make ([\w-]+)", TEXT, re.M)
    assert targets and all(re.search(rf"^{target}:", makefile, re.M) for target in targets)
