"""The README names only what is there."""

import re

import pytest

from launch.cli import app
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_every_file_it_names_exists():
    named = set(re.findall(r"(?:accent|shards|launch|configs|tests)/[\w/]+\.(?:py|yaml)", README))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []


def test_every_room_and_file_of_the_house_exists():
    house = README.split("## Architecture")[1].split("### The data's way")[0]
    room, missing = "", []
    for line in house.splitlines():
        if match := re.match(r"    (\w+)/  ", line):
            room = match[1]
        elif match := re.match(r"      (\w+(?:\.py|/))  ", line):
            missing += [] if (REPOSITORY / room / match[1]).exists() else [f"{room}/{match[1]}"]
    assert room == "configs" and missing == []


def test_every_command_it_shows_exists():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    shown = {line.split()[1] for line in README.splitlines() if line.startswith("    accent ")}
    assert shown and shown <= commands
    targets = {line.split()[1] for line in README.splitlines() if line.startswith("    make ")}
    makefile = (REPOSITORY / "Makefile").read_text()
    assert targets >= {"demo", "test"} and all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.S))
def test_everything_its_python_imports_is_there(block):
    imports = [line for line in block.splitlines() if line.startswith(("from ", "import "))]
    assert imports
    exec("\n".join(imports), {})
    compile(block, "README.md", "exec")
