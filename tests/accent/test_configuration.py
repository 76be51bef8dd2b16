"""Configurations from YAML and overrides: text stays text, renamed keys are named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pytest
import yaml
from omegaconf import OmegaConf

from accent.configuration import flatten, load
from accent.errors import AccentError


@dataclass(frozen=True)
class Section:
    RENAMED: ClassVar[Mapping[str, str]] = {"voices": "speakers"}
    speakers: tuple[str, ...] = ()
    rates: tuple[float, ...] = (0.5,)
    note: str | None = None


@dataclass(frozen=True)
class Settings:
    RENAMED: ClassVar[Mapping[str, str]] = {"epochs": "section.rates"}
    run: str = "runs/a"
    mixed_precision: Literal["no", "bf16"] | None = None
    lr: float = 1e-3
    rows: int | None = 3
    compile: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    section: Section = field(default_factory=Section)


WORDS = ["001", "NO", "on", "1e3", "1_000", "0x10", "12:30:45", "2001-01-01", "~", "null", "3.0", "é", "a b", "-"]
"""What YAML 1.1 retypes, and other text."""


@pytest.mark.parametrize("word", WORDS)
def test_text_stays_as_it_is_written(tmp_path, word):
    file = tmp_path / "a.yaml"
    file.write_text(f"run: {word if word != '-' else yaml.dump(word)}\nsection:\n  speakers: ['{word}']\n")
    from_file = load(Settings, file)
    assert (from_file.run, from_file.section.speakers) == (word, (word,))
    assert load(Settings, None, [f"run={word}"]).run == word


@pytest.mark.parametrize("word", [word for word in WORDS if word != "-"])
def test_a_list_of_words_on_the_command_line_stays_as_it_is_written(word):
    assert load(Settings, None, [f"section.speakers=[{word}, b]"]).section.speakers == (word, "b")


def test_words_that_are_not_yaml_are_text_where_text_is_wanted():
    for word in ("pipe:ssh host cat /folder/{}", "a: b", "[x", "a #b", "http://host/x"):
        assert load(Settings, None, [f"run={word}"]).run == word
    assert load(Settings, None, ["run='007'"]).run == "007"


def test_no_is_a_choice_and_null_is_none():
    assert load(Settings, None, ["mixed_precision=no"]).mixed_precision == "no"
    assert load(Settings, {"mixed_precision": "no"}, ["mixed_precision=null"]).mixed_precision is None
    assert load(Settings, None, ["section.note=null"]).section.note is None
    assert load(Settings, None, ["section.note='null'"]).section.note == "null"
    with pytest.raises(AccentError, match="mixed_precision"):
        load(Settings, None, ["mixed_precision=off"])


def test_numbers_and_truth_values_are_read_where_the_field_is_one(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("lr: 1e-4\nrows: null\ncompile: yes\nsection: {rates: [1, 2e-1]}\nlabels: {NO: 1}\n")
    settings = load(Settings, file)
    assert (settings.lr, settings.rows, settings.compile) == (1e-4, None, True)
    assert settings.section.rates == (1.0, 0.2)
    assert settings.labels == {"NO": "1"}
    with pytest.raises(AccentError, match=r"rows: .*abc"):
        load(Settings, None, ["rows=abc"])


def test_later_words_win_and_sections_merge():
    settings = load(Settings, {"section": {"note": "a", "speakers": ["x"]}}, ["section={note: b}", "section.note=c"])
    assert settings.section == Section(speakers=("x",), note="c")


def test_a_mapping_is_not_changed():
    given = {"section": {"note": "a"}}
    load(Settings, given, ["section.note=b"])
    assert given == {"section": {"note": "a"}}


def test_interpolation_still_works():
    assert load(Settings, {"run": "runs/${rows}", "rows": 4}).run == "runs/4"


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:SECRET}",
        "runs/${oc.env:SECRET,none}",
        "${oc.decode:${oc.env:SECRET}}",
        "\\${oc.env:SECRET}",
        "\\\\\\${oc.env:SECRET}",
        "${oc.${rows}:SECRET}",
        "${ oc.env : SECRET }",
        "${oc.create:{a:1}}",
        "${own:1}",
        "${oc.env:SECRET",
    ],
)
@pytest.mark.parametrize("way", ["mapping", "override", "file", "list"])
def test_a_configuration_reads_no_environment_and_runs_nothing(monkeypatch, tmp_path, text, way):
    monkeypatch.setenv("SECRET", "hunter2")
    called = []
    OmegaConf.register_resolver("own", called.append, replace=True)
    file = tmp_path / "a.yaml"
    file.write_text(f"run: '{text}'\n")
    start = {
        "mapping": lambda: load(Settings, {"run": text}),
        "override": lambda: load(Settings, None, [f"run='{text}'"]),
        "file": lambda: load(Settings, file),
        "list": lambda: load(Settings, {"section": {"speakers": ["a", text]}}),
    }
    with pytest.raises(AccentError, match=r"(run|section.speakers): .*write it out") as caught:
        start[way]()
    assert "hunter2" not in str(caught.value) and called == []


@pytest.mark.parametrize(
    ("word", "line"),
    [("epochs=3", "'epochs' is called 'section.rates' now"), ("section.voices=[a]", "'section.voices' is called")],
)
def test_a_renamed_key_is_refused_with_its_new_name(word, line):
    with pytest.raises(AccentError, match=line):
        load(Settings, None, [word])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("run: a\nrun: b\n", "the key 'run' is given twice"),
        ("- a\n", "a configuration is a mapping of keys to values, not a list"),
        ("run: [a\n", "not valid YAML"),
        ("section: {speeker: a}\n", "unknown key 'section.speeker'; did you mean section.speakers?"),
    ],
)
def test_a_faulty_file_is_one_line(tmp_path, text, line):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(AccentError) as caught:
        load(Settings, tmp_path / "a.yaml")
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_file_is_the_defaults(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert load(Settings, tmp_path / "a.yaml") == Settings()


def test_flatten_puts_dots_into_the_keys():
    assert flatten({"a": 1, "b": {"c": 2, "d": {"e": [3]}}, "f": {}}) == {"a": 1, "b.c": 2, "b.d.e": [3]}
