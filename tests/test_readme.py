"""The READMEs name only what is there, and every room has one that names all of its files."""

import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.main import get_command

from accent.configuration import load
from accent.errors import AccentError
from launch.commands.app import app
from launch.run_config import RunConfig, find_config
from shards.writing.processor import FeaturizeConfig
from tests.conftest import REPOSITORY

PACKAGES = ("accent", "shards", "launch")
ROOMS = (*PACKAGES, "configs", "tests")
READMES = [
    Path("README.md"),
    *sorted(path.relative_to(REPOSITORY) for room in ROOMS for path in (REPOSITORY / room).rglob("README.md")),
]
MOST_LINES = 120
"""Two screens for the top README, one page for a room's."""

each_readme = pytest.mark.parametrize("readme", READMES, ids=str)


def text_of(readme: Path) -> str:
    return (REPOSITORY / readme).read_text(encoding="utf-8")


def split_blocks(text: str) -> tuple[str, str]:
    """Return the prose of a page and its indented blocks; fenced Python is in neither."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    prose, blocks, inside, before = [], [], False, ""
    for line in text.splitlines():
        # Four spaces after an empty line begin a block; elsewhere they continue an item of a list.
        inside = (line.startswith("    ") and (inside or not before)) or (inside and not line)
        (blocks if inside else prose).append(line)
        before = line
    return "\n".join(prose), "\n".join(blocks)


def code_spans(text: str) -> list[str]:
    """Return the inline code of a page."""
    return re.findall(r"`([^`\n]+)`", split_blocks(text)[0])


def shell_lines(text: str) -> list[str]:
    """Return the commands of a page: of its indented blocks, whole again where they are broken, and of its tables."""
    block = re.sub(r"\\\n\s*", " ", split_blocks(text)[1])
    commands = [line.strip() for line in block.splitlines()] + code_spans(text)
    programs = r"(?:\w+=\S+ )*(?:accent|accelerate|python|pytest|make|\S*/pytest|sbatch) "
    return [line for line in commands if re.match(programs, line)]


def words_of(line: str) -> list[str]:
    """Split a command as the shell does, up to a pipe, a redirection or a comment."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words.pop(0)
    ends = [at for at, word in enumerate(words) if word in ("|", ">", "&&", "...")]
    return words[: ends[0]] if ends else words


def modules_of(room: Path) -> list[Path]:
    """Return the modules that a room's README answers for: those with no README nearer to them."""
    return [
        path
        for path in sorted((REPOSITORY / room).rglob("*.py"))
        if path.name != "__init__.py"
        and next(parent for parent in path.parents if (parent / "README.md").exists()) == REPOSITORY / room
    ]


def test_every_room_has_a_readme():
    rooms = [REPOSITORY / name for name in ROOMS]
    rooms += [path.parent for package in PACKAGES for path in (REPOSITORY / package).glob("*/__init__.py")]
    assert len(rooms) > 20
    assert [str(room.relative_to(REPOSITORY)) for room in rooms if not (room / "README.md").exists()] == []


@pytest.mark.parametrize("readme", [path for path in READMES if path.parts[0] in PACKAGES], ids=str)
def test_a_rooms_readme_says_how_to_add_something(readme):
    assert re.search(r"^## How to add\n\n\S", text_of(readme), re.M)


@pytest.mark.parametrize("readme", [path for path in READMES if path.parts[0] in PACKAGES], ids=str)
def test_a_rooms_readme_names_each_of_its_modules(readme):
    spans = set(code_spans(text_of(readme)))
    modules = [path.relative_to(REPOSITORY / readme.parent).as_posix() for path in modules_of(readme.parent)]
    assert [module for module in modules if module not in spans] == []


def test_the_readme_of_the_configurations_names_each_of_them():
    spans = set(code_spans(text_of(Path("configs/README.md"))))
    files = [path for end in ("yaml", "sbatch", "json") for path in sorted((REPOSITORY / "configs").rglob(f"*.{end}"))]
    names = [path.relative_to(REPOSITORY / "configs").as_posix() for path in files]
    assert names and [name for name in names if name not in spans] == []


@each_readme
def test_every_file_it_names_exists(readme):
    named = re.compile(r"[\w./-]+\.(?:py|yaml|sbatch|cfg|png)|(?:accent|shards|launch|configs|tests)/[\w/]+/?")
    files = {span for span in code_spans(text_of(readme)) if named.fullmatch(span)}
    files |= set(re.findall(r"\b(?:configs|tests)/[\w/]+\.(?:yaml|sbatch|py)\b", text_of(readme)))
    # config.yaml lies in the folder of a run, NAME stands for the reader's own.
    files = {name for name in files if name != "config.yaml" and "NAME" not in name}
    bases = (REPOSITORY / readme.parent, REPOSITORY)
    assert [name for name in sorted(files) if not any((base / name).exists() for base in bases)] == []


@each_readme
def test_its_links_resolve(readme):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", text_of(readme))
    folder = (REPOSITORY / readme).parent
    assert [target for target in targets if not (folder / target).exists()] == []


@each_readme
def test_it_is_one_page(readme):
    text = text_of(readme)
    assert len(text.splitlines()) <= MOST_LINES
    long = [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")]
    assert long == []


def test_no_line_stands_in_two_readmes():
    lines = Counter(line.strip() for readme in READMES for line in set(text_of(readme).splitlines()))
    assert [line for line, count in lines.items() if count > 1 and len(line) > 60] == []


@each_readme
def test_every_command_it_shows_exists_with_its_options(readme):
    tree = get_command(app)
    for line in shell_lines(text_of(readme)):
        words = words_of(line)
        if words[0] != "accent" or words[1].startswith("--"):
            continue
        command, rest = tree, words[1:]
        while hasattr(command, "commands") and not rest[0].isupper():
            assert rest[0] in command.commands, f"{line}: no command '{' '.join(words[1:2])}'"
            command, rest = command.commands[rest[0]], rest[1:]
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        unknown = [word for word in rest if word.startswith("-") and word.split("=")[0] not in options]
        assert unknown == [], line


@each_readme
def test_every_module_program_and_test_it_runs_exists(readme):
    makefile = (REPOSITORY / "Makefile").read_text()
    for line in shell_lines(text_of(readme)):
        words = words_of(line)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.M), line
        for module in (after for word, after in itertools.pairwise(words) if word == "-m"):
            if not words[0].endswith("pytest"):
                assert importlib.util.find_spec(module) is not None, line
        for path in (word.split("::")[0] for word in words if word.startswith("tests/")):
            assert (REPOSITORY / path).exists(), line


@each_readme
def test_every_configuration_it_trains_or_featurizes_with_loads(readme):
    for line in shell_lines(text_of(readme)):
        words = words_of(line)
        overrides = [re.sub(r"\$\w+", "0", word) for word in words if re.match(r"[a-z_.]+=", word)]
        if "launch.train" in words:
            (name,) = words[words.index("launch.train") + 1 :][:1] or ("",)
            if name.startswith("configs/"):
                load(RunConfig, find_config(name), overrides)
        elif words[:2] == ["accent", "featurize"]:
            name = words[words.index("--config") + 1] if "--config" in words else None
            load(FeaturizeConfig, None if name is None else find_config(name), overrides)


@each_readme
def test_every_setting_it_names_exists(readme):
    for span in code_spans(text_of(readme)):
        if not re.fullmatch(r"[a-z_]+(?:\.[a-z_]+)*=[^ ]+", span):
            continue
        faults = []
        for config in (RunConfig, FeaturizeConfig):
            try:
                load(config, None, [span, *(["batch.same_prompts=true"] if "same_prompt=" in span else [])])
            except AccentError as error:
                faults.append(str(error))
        assert len(faults) < 2, faults


@pytest.mark.parametrize(
    "block", [block for readme in READMES for block in re.findall(r"```python\n(.*?)```", text_of(readme), re.S)]
)
def test_everything_its_python_imports_and_calls_is_there(block):
    imports = [line for line in block.splitlines() if line.startswith(("from ", "import "))]
    assert imports
    names: dict[str, object] = {}
    exec("\n".join(imports), names)
    compile(block, "README.md", "exec")
    for owner, attribute in re.findall(r"\b([A-Z]\w+)\.(\w+)\(", block):
        assert hasattr(names[owner], attribute), f"{owner}.{attribute}"
    for attribute in re.findall(r"AccentEmbedder\.load\(.*?\)\.(\w+)\(", block):
        assert hasattr(names["AccentEmbedder"], attribute), attribute


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_walk_through_runs_as_written(tmp_path):
    section = text_of(Path("launch/README.md")).split("## A walk-through")[1].split("\n## ")[0]
    lines = [line for line in shell_lines(section) if not line.startswith("accent COMMAND")]
    assert len(lines) > 5
    programs = {"accent": [sys.executable, "-m", "launch.cli"], "python": [sys.executable]}
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for line in lines:
        program, *rest = words_of(line)
        done = subprocess.run(
            [*programs[program], *rest], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "embeddings.csv").stat().st_size > 1000
