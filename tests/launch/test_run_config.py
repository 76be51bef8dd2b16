from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from omegaconf import OmegaConf

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from launch.run_config import PACKAGED, RunConfig, find_config, write_config
from launch.training.identity import resumable_keys, what_differs

RUNS = ("demo", "saa", "saa8k", "l2arctic", "l2arctic_hindi_spanish", "pretrain")


@pytest.mark.parametrize("name", RUNS)
def test_a_run_configuration_that_comes_with_the_package_is_valid(name):
    config = load(RunConfig, PACKAGED / f"{name}.yaml")
    given = OmegaConf.to_container(OmegaConf.load(PACKAGED / f"{name}.yaml"))
    assert config.epochs == given["epochs"]
    assert config.optimizer.lr == given["optimizer"]["lr"]
    assert config.model.preset == given["model"]["preset"]


@pytest.mark.parametrize("name", RUNS)
def test_a_configuration_written_and_read_again_is_the_same(name, tmp_path):
    config = load(RunConfig, PACKAGED / f"{name}.yaml", ["seed=7", "mixed_precision=bf16"])
    write_config(config, tmp_path / "config.yaml")
    assert load(RunConfig, tmp_path / "config.yaml") == config


def test_text_is_kept_as_it_is_written_there_and_back(tmp_path):
    config = load(RunConfig, None, ["run=007", "mixed_precision=no", "model.accents=[NO, 1e3]", "split.file=010"])
    assert (config.run, config.mixed_precision, config.split.file) == ("007", "no", "010")
    assert config.model.accents == ("NO", "1e3")
    write_config(config, tmp_path / "config.yaml")
    assert load(RunConfig, tmp_path / "config.yaml") == config


@pytest.mark.parametrize(("name", "processes"), [("cpu", 2), ("gpu", 1), ("node", 8)])
def test_accelerate_reads_its_configurations(name, processes):
    config = load_config_from_file(str(PACKAGED / "accelerate" / f"{name}.yaml"))
    assert config.num_processes == processes
    assert config.mixed_precision == ("no" if name == "cpu" else "bf16")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("optimizer.learning_rate=1", "unknown key 'optimizer.learning_rate'"),
        ("optimzer.lr=1", "did you mean optimizer?"),
        ("optimizer.lr=fast", "optimizer.lr"),
        ("optimizer.lr=-1", "lr: -1.0 is not above 0"),
        ("optimizer.final_lr=1", "final_lr: 1.0 is not between 0 and lr"),
        ("optimizer.betas=[0.9]", "betas: [0.9] are not two numbers"),
        ("optimizer.grad_clip=0", "grad_clip: 0.0 is not above 0"),
        ("epochs=0", "epochs: 0 is below 1"),
        ("checkpoints.keep_last=0", "keep_last: 0 is below 1"),
        ("monitor.every_steps=0", "every_steps: 0 is below 1"),
        ("timeout_minutes=0", "timeout_minutes: 0.0 is not above 0"),
        ("processes=0", "processes: 0 is below 1"),
        ("mixed_precision=fp8", "mixed_precision"),
        ("device=gpu", "device"),
        ("losses.ctc=1", "losses.ctc: needs model.branch=phones"),
        ("losses.adversary=-1", "adversary: -1.0 given; a weight is 0 or more"),
        ("augmentation.tempo=0.9", "tempo: 0.9 is not between 0 (off) and 0.5"),
        ("pretraining.hidden_share=1", "hidden_share: 1.0 is not between 0 and 1"),
        ("objective=words", "objective"),
        ("model.preset=huge", "preset: 'huge' is not one of tiny, base, large"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_key(word, says):
    with pytest.raises(AccentError) as fault:
        load(RunConfig, PACKAGED / "demo.yaml", ["model.preset=tiny", word])
    assert says in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_users_own_configuration_comes_before_the_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("configs/demo.yaml", "demo.yaml", "demo", str(PACKAGED / "demo.yaml")):
        assert find_config(name).resolve() == PACKAGED / "demo.yaml"
    assert find_config("accelerate/cpu.yaml") == PACKAGED / "accelerate" / "cpu.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.yaml").write_text("epochs: 1\n")
    assert find_config("configs/demo.yaml").resolve() == tmp_path / "configs" / "demo.yaml"


def test_a_missing_configuration_is_one_line_that_lists_those_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("configs/nothing.yaml", "/nowhere/demo.yaml"):
        with pytest.raises(AccentError, match=r"no such configuration file.*configs/demo\.yaml.*configs/saa\.yaml"):
            find_config(name)
    with pytest.raises(AccentError, match=r"configs/corpora/l2arctic\.yaml"):
        find_config("nothing.yaml", "corpora")


def test_a_run_may_change_where_it_lies_and_how_it_is_shown_but_not_what_it_learns():
    before = to_mapping(load(RunConfig, PACKAGED / "demo.yaml"))

    def now(*words: str) -> dict:
        return to_mapping(load(RunConfig, PACKAGED / "demo.yaml", words))

    assert what_differs(before, now()) == []
    allowed = ["run=elsewhere", "shards=moved", "epochs=99", "checkpoints.every_steps=7", "monitor.every_steps=3"]
    assert what_differs(before, now(*allowed, "resume=false", "device=cpu", "batch.workers=2")) == []
    assert sorted(what_differs(before, now("optimizer.lr=0.5", "model.layers=3"))) == [
        "model.layers: 6 -> 3",
        "optimizer.lr: 0.002 -> 0.5",
    ]
    assert what_differs({**before, "seed": 0}, {**before, "new_key": 1}) == ["new_key: None -> 1"]


def test_configurations_are_found_from_the_packages_own_place():
    assert Path(__file__).resolve().parents[2] / "configs" == PACKAGED


def test_no_is_a_precision_and_not_a_truth_value():
    assert load(RunConfig, PACKAGED / "demo.yaml", ["mixed_precision=no"]).mixed_precision == "no"


def test_a_renamed_key_is_refused_with_its_new_name():
    with pytest.raises(AccentError, match="'accumulation' is called 'gradient_accumulation_steps' now"):
        load(RunConfig, PACKAGED / "demo.yaml", ["accumulation=2"])


def test_a_field_is_resumable_where_it_says_so():
    keys = resumable_keys()
    assert {"epochs", "run", "losses.tile", "batch.workers", "checkpoints.", "monitor."} <= set(keys)
    assert not {"seed", "optimizer.lr", "gradient_accumulation_steps", "batch.crop_frames"} & set(keys)
