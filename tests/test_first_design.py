"""The calls of the project's first design work exactly as they were written, in this order, on real files."""

import numpy as np
import pytest
import soundfile

from accent import EnhancedAccentEncoder
from launch import extract_embeddings, train_accent_encoder
from shards import EvaluationLoader, FeatureProcessor, ShardSet, TrainingLoader
from shards.loader import BatchConfig
from shards.splits import Split
from tests.accent.synthesis import vowel

SPEAKERS = {"A1": "Rising", "A2": "Rising", "A3": "Rising", "B1": "Falling", "B2": "Falling", "B3": "Falling"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Six speakers of two accents, three vowels each, in L2-ARCTIC's layout."""
    root = tmp_path_factory.mktemp("corpus")
    for number, (speaker, accent) in enumerate(SPEAKERS.items()):
        (root / speaker / "wav").mkdir(parents=True)
        first_formant = 500.0 if accent == "Rising" else 800.0
        for utterance in range(3):
            samples = vowel(100 + 10 * number + utterance, [first_formant, 1500.0, 2500.0], seconds=0.7)
            soundfile.write(root / speaker / "wav" / f"arctic_a{utterance:04d}.wav", samples, 16_000)
    rows = "".join(f"{speaker}\t{accent}\n" for speaker, accent in SPEAKERS.items())
    (root / "speakers.tsv").write_text("speaker\taccent\n" + rows)
    return root


def test_the_three_snippets_run_as_written(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    input_root, output_root, device = corpus, tmp_path / "shards", "cpu"

    FeatureProcessor(input_root, output_root).process_dataset()

    shard_set = ShardSet.open(output_root)
    split = Split(train=("A1", "A2", "B1", "B2"), validation=("A3", "B3"), test=())
    batch = BatchConfig(speakers_per_accent=2, utterances_per_speaker=1, crop_frames=60)
    train_loader = TrainingLoader(shard_set, split, batch)
    val_loader = EvaluationLoader(shard_set, split.validation, batch)
    model = EnhancedAccentEncoder()

    train_accent_encoder(model, train_loader, val_loader, num_epochs=50, device=device)

    dataloader = EvaluationLoader(shard_set, split.validation, batch)
    embeddings, labels, accents = extract_embeddings(model, dataloader, device)

    assert embeddings.shape == (6, model.config.embedding_dim)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    assert sorted(accents) == ["Falling"] * 3 + ["Rising"] * 3
    assert [shard_set.accents[label] for label in labels] == list(accents)
    same = np.equal.outer(labels, labels)
    similarity = embeddings @ embeddings.T
    assert similarity[same].mean() > similarity[~same].mean()
