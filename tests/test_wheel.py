"""A built wheel, unpacked elsewhere, is whole: code, command and configurations."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files and nothing of the checkout."""
    source, built, site = (tmp_path_factory.mktemp(name) for name in ("source", "built", "site"))
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, files):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((REPOSITORY / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run_there(site: Path, folder: Path, program: str) -> str:
    """Run a program whose working folder has a `configs` of its own, with the wheel's files first on the path."""
    (folder / "configs").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_away_from_the_checkout(site, tmp_path):
    program = "import sys, launch.cli as c; print(c.__file__); sys.argv = ['accent', '--help']; c.main()"
    printed = run_there(site, tmp_path, program)
    assert printed.startswith(str(site))
    assert all(command in printed for command in ("featurize", "inspect", "slurm", "evaluate", "embed", "demo"))


def test_every_run_configuration_is_in_the_wheel_and_loads(site, tmp_path):
    program = (
        "from accent.configuration import load\n"
        "from launch.run_config import PACKAGED, RunConfig, find_config\n"
        "names = sorted(path.name for path in PACKAGED.glob('*.yaml'))\n"
        "[load(RunConfig, find_config(f'configs/{name}')) for name in names]\n"
        "print(PACKAGED, *names)"
    )
    folder, *names = run_there(site, tmp_path, program).split()
    assert folder == str(site / "configs")
    assert names == sorted(path.name for path in (REPOSITORY / "configs").glob("*.yaml"))
    assert "demo.yaml" in names


def test_the_wheel_holds_every_configuration_of_the_checkout(site):
    for pattern in ("*.yaml", "*.sbatch"):
        there = {path.relative_to(site / "configs") for path in (site / "configs").rglob(pattern)}
        assert there == {path.relative_to(REPOSITORY / "configs") for path in (REPOSITORY / "configs").rglob(pattern)}


def test_the_wheel_holds_what_the_page_is_made_of(site):
    folder = Path("launch/html_report/template")
    there = {path.name for path in (site / folder).iterdir()}
    assert there == {path.name for path in (REPOSITORY / folder).iterdir()} and len(there) == 3


def test_type_checkers_find_the_packages_typed(site):
    assert all((site / package / "py.typed").is_file() for package in ("accent", "shards", "launch"))


def test_the_wheel_declares_the_console_command(site):
    (entry_points,) = site.glob("*.dist-info/entry_points.txt")
    assert "accent = launch.cli:main" in entry_points.read_text()
