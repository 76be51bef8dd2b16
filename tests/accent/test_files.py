"""Files that are whole or do not exist."""

import os
from pathlib import Path

import numpy as np
import pytest

from accent.errors import AccentError
from accent.files import (
    AtomicFile,
    recover_folders,
    replace_folder,
    replacing,
    writable_folder,
    write_archive,
    write_bytes,
    write_once,
    write_text,
)


@pytest.mark.parametrize("refused", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_keeps_the_old_file_and_is_one_line(tmp_path, monkeypatch, refused):
    write_bytes(tmp_path / "file", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(refused, full)
    with pytest.raises(AccentError) as caught:
        write_bytes(tmp_path / "file", b"new")
    expected = f"{tmp_path}/file: cannot be written (No space left on device); check free space and permissions"
    assert str(caught.value) == expected
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path):
    with replacing(tmp_path / "file") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "file").exists()
        assert [name.startswith("file.") and name.endswith(".tmp") for name in os.listdir(tmp_path)] == [True]
    assert os.listdir(tmp_path) == ["file"]


def test_whatever_is_raised_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_discarding_after_the_commit_keeps_the_file(tmp_path):
    writing = AtomicFile(tmp_path / "file")
    writing.file.write(b"whole")
    writing.commit()
    writing.discard()
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_text_and_arrays_come_back(tmp_path):
    write_text(tmp_path / "text", "ɹ\n")
    assert (tmp_path / "text").read_text(encoding="utf-8") == "ɹ\n"
    write_archive(tmp_path / "a.npz", {"a": np.arange(3)})
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("hard_links", [True, False])
def test_who_writes_once_and_is_second_changes_nothing(tmp_path, monkeypatch, hard_links):
    if not hard_links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "not permitted")))
    path = tmp_path / "plan.json"
    write_once(path, b"first")
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["plan.json"]
    if hard_links:
        write_once(path, b"second")
        assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["plan.json"]


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def test_a_folder_replaces_another(tmp_path):
    folder(tmp_path / "kept", "old")
    replace_folder(folder(tmp_path / "new", "new"), tmp_path / "kept")
    assert (tmp_path / "kept" / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["kept"]


def test_a_crash_between_the_two_renames_is_undone(tmp_path, monkeypatch):
    folder(tmp_path / "kept", "old")
    genuine = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise KeyboardInterrupt
        return genuine(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(folder(tmp_path / "new", "new"), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    monkeypatch.undo()
    recover_folders(tmp_path, "k*")
    assert (tmp_path / "kept" / "file").read_text() == "old"
    recover_folders(tmp_path / "missing", "*")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AccentError, match=r"file/inside: cannot make this folder"):
        writable_folder(tmp_path / "file" / "inside")
