"""No file is loaded in a way that runs what is in it: pickle, numpy's objects, YAML's tags, words of a shell."""

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import REPOSITORY

SOURCES = [path for room in ("accent", "shards", "launch") for path in sorted((REPOSITORY / room).rglob("*.py"))]
UNPICKLES = {"shards/writing/workers/worker.py"}
"""Reads what its own parent process has sent through a pipe."""
RUNS_A_SHELL = {"shards/streaming/transport.py"}
"""Runs the command of an address that the user wrote."""
NEVER = {
    *(f"yaml.{name}" for name in ("load", "load_all", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all")),
    *("eval", "exec", "os.system", "os.popen", "marshal.loads", "shelve.open", "joblib.load", "dill.loads"),
}
_NO_PICKLE = ("allow_pickle", False)
NEEDED = {"np.load": _NO_PICKLE, "numpy.load": _NO_PICKLE, "torch.load": ("weights_only", True)}


def faults(tree: ast.AST, name: str) -> Iterator[str]:
    """Yield what is unsafe in a module, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and ast.unparse(node).endswith(("UnsafeLoader", "FullLoader")):
            yield f"{name}:{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "yaml", "numpy", "torch"):
            taken = {alias.name for alias in node.names} & {"load", "loads", "Unpickler", "unsafe_load", "full_load"}
            yield from (f"{name}:{node.lineno}: from {node.module} import {one}" for one in taken)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        words = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg is not None}
        where = f"{name}:{node.lineno}: {called}"
        if called in NEVER:
            yield where
        if called in ("pickle.load", "pickle.loads", "pickle.Unpickler") and name not in UNPICKLES:
            yield where
        if called in NEEDED and words.get(NEEDED[called][0]) != str(NEEDED[called][1]):
            yield f"{where} without {NEEDED[called][0]}={NEEDED[called][1]}"
        if words.get("shell", "False") != "False" and name not in RUNS_A_SHELL:
            yield f"{where} with a shell"


def test_no_module_loads_anything_that_could_run() -> None:
    found = []
    for path in SOURCES:
        found += faults(ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(REPOSITORY)))
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "pickle.loads(data)",
        "from pickle import loads",
        "yaml.load(text, Loader=yaml.FullLoader)",
        "yaml.compose(text, Loader=UnsafeLoader)",
        "subprocess.run(command, shell=True)",
        "eval(text)",
    ],
)
def test_what_could_run_is_found(text: str) -> None:
    assert list(faults(ast.parse(text), "a.py"))


def test_what_is_allowed_is_still_there() -> None:
    for name in UNPICKLES | RUNS_A_SHELL:
        assert list(faults(ast.parse((REPOSITORY / name).read_text(encoding="utf-8")), "another.py")), name
