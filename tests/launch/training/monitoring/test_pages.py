"""Pictures, projector, texts, hyperparameters and histograms of a run, read by TensorBoard's own readers."""

import io
import json

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from omegaconf import OmegaConf
from PIL import Image
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector import ProjectorConfig
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from launch import extract_embeddings
from launch.training.monitoring.curves import training_curve, validation_curve
from launch.training.monitoring.gradient_histograms import BINS, block_of, write_gradient_histograms
from launch.training.monitoring.validation_page import principal_axes
from launch.training.run import train_run
from shards import EvaluationLoader, ShardSet
from shards.loading.config import BatchConfig
from tests.support.training.small_runs import ACCENTS, small_config


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    """A run of twelve steps and two validations, with all that TensorBoard can show."""
    run = tmp_path_factory.mktemp("runs") / "run"
    train_run(small_config(run, shards, "epochs=4", "monitor.pictures=true", "monitor.gradients_every_steps=4"))
    return run


@pytest.fixture(scope="module")
def curves(run, read_curves):
    return read_curves(run)


def test_the_first_two_groups_tell_whether_it_goes_well(curves):
    tags = curves.Tags()
    names = [*tags["scalars"], *tags["images"], *tags["histograms"]]
    groups = sorted({name.partition("/")[0] for name in names})
    assert groups[:2] == ["accuracy", "loss"]
    assert training_curve("speaker_accuracy").startswith("accuracy/")
    assert validation_curve("frame_accuracy").startswith("accuracy/")
    assert validation_curve("phone_error_rate").startswith("loss/")


def test_each_validation_has_its_confusion_matrix_and_its_map(curves):
    for name in ("validation/confusion", "validation/map"):
        images = curves.Images(name)
        assert [image.step for image in images] == [6, 12]
        for image in images:
            pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
            assert pixels.shape[:2] == (image.height, image.width)
            assert pixels.std() > 5  # drawn upon


def test_the_projector_has_every_validation_utterance_and_what_is_known_of_it(run, shards):
    folder = run / "tensorboard"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (entry,) = config.embeddings
    table = [line.split("\t") for line in (folder / entry.metadata_path).read_text().splitlines()]
    assert table[0] == ["accent", "speaker", "prompt", "sex"]

    shard_set = ShardSet.open(shards)
    speakers = json.loads((run / "split.json").read_text())["validation"]
    number_N = np.flatnonzero(np.isin(shard_set.index["speaker"], shard_set.speaker_positions(speakers)))
    entries = {one.name: one for one in shard_set.manifest.speakers}
    expected = []
    for number in number_N:
        one = entries[shard_set.speakers[shard_set.index["speaker"][number]]]
        expected.append(
            [one.accent, one.name, shard_set.prompts[shard_set.index["prompt"][number]], one.sex or "unknown"]
        )
    assert table[1:] == expected

    from accent.inference.model_file import load_model

    # The last weights are the best here, so the exported model made the table.
    assert json.loads(sorted((run / "checkpoints").iterdir())[-1].joinpath("state.json").read_text())
    loader = EvaluationLoader(shard_set, speakers, BatchConfig())
    embeddings, _, _ = extract_embeddings(load_model(run)[0], loader, "cpu")
    tensors = np.loadtxt(folder / entry.tensor_path, delimiter="\t")
    np.testing.assert_allclose(tensors, embeddings, atol=1e-5)


def test_the_lengths_of_the_embeddings_are_a_histogram_of_all_utterances(curves):
    for histogram in curves.Histograms("validation/embedding_length"):
        assert histogram.histogram_value.num == 18
        assert histogram.histogram_value.min > 0


def test_the_text_has_every_value_of_the_configuration_and_the_start_line(curves):
    def text(name):
        (event,) = curves.Tensors(f"{name}/text_summary")
        return event.tensor_proto.string_val[0].decode()

    written = "\n".join(line.removeprefix("    ") for line in text("run/configuration").splitlines())
    loaded = OmegaConf.to_container(OmegaConf.create(written))
    assert loaded["optimizer"]["lr"] == 0.003 and loaded["split"] and loaded["model"]["accents"] == [*ACCENTS]
    assert "training on 1 process, backend none, device cpu" in text("run/start")


def test_the_hyperparameters_stand_beside_the_final_metrics(curves):
    content = curves.PluginTagToContent("hparams")
    session = metadata.parse_session_start_info_plugin_data(content["_hparams_/session_start_info"])
    assert session.hparams["optimizer.lr"].number_value == pytest.approx(0.003)
    assert not any(name.startswith(("monitor.", "checkpoints.")) for name in session.hparams)
    # TensorBoard lists the hyperparameters and metrics of all runs itself; a list of one run would stand for all.
    assert "_hparams_/experiment" not in content
    assert {"accuracy/validation_best", "loss/total"} <= set(curves.Tags()["scalars"])
    metadata.parse_session_end_info_plugin_data(content["_hparams_/session_end_info"])


def test_gradients_are_histograms_by_block_of_the_steps_asked_for(curves):
    names = [name for name in curves.Tags()["histograms"] if name.startswith("parameter_gradients/")]
    assert {f"parameter_gradients/{name}" for name in ("families.mel", "transformer.layers.0", "embedding")} <= set(
        names
    )
    assert all([one.step for one in curves.Histograms(name)] == [1, 4, 8, 12] for name in names)


def test_a_histogram_counts_what_numpy_counts(tmp_path, read_curves):
    torch.manual_seed(0)
    module = nn.Module()
    module.encoder = nn.ModuleList([nn.Linear(30, 20), nn.Linear(20, 5)])
    gradients = {name: torch.randn_like(value) for name, value in module.named_parameters()}
    gradients["encoder.1.bias"][0] = float("inf")  # left out
    with SummaryWriter(str(tmp_path / "tensorboard")) as writer:
        write_gradient_histograms(writer, module, gradients.items(), 7)
    assert block_of(module, "encoder.0.weight") == "0"
    curves = read_curves(tmp_path)
    values = torch.cat([value.flatten() for value in gradients.values()]).numpy()
    values = values[np.isfinite(values)]
    found = {name: curves.Histograms(name)[0].histogram_value for name in curves.Tags()["histograms"]}
    assert sum(one.num for one in found.values()) == len(values)
    assert sum(one.sum for one in found.values()) == pytest.approx(values.sum(), rel=1e-4)
    first = torch.cat([gradients["encoder.0.weight"].flatten(), gradients["encoder.0.bias"]]).numpy()
    counts, _ = np.histogram(first, BINS)
    # Rounding of a limit may move a value to its neighbour.
    assert np.abs(np.array(found["parameter_gradients/0"].bucket)[-BINS:] - counts).sum() <= 4


def test_the_map_has_the_two_axes_of_largest_variance():
    rows_N3 = np.random.default_rng(0).normal(size=(200, 3)) * [0.1, 5.0, 2.0]
    point_N2 = principal_axes(rows_N3)
    eigenvalues = np.linalg.eigvalsh(np.cov(rows_N3.T, bias=True))[::-1]
    np.testing.assert_allclose(point_N2.var(0), eigenvalues[:2], rtol=1e-6)
    np.testing.assert_allclose(principal_axes(rows_N3 + 7.0), point_N2, atol=1e-9)
