"""The calls of the project's first design work exactly as they were written, in this order, on real files."""

import numpy as np

from accent import EnhancedAccentEncoder
from launch import extract_embeddings, train_accent_encoder
from shards import EvaluationLoader, FeatureProcessor, ShardSet, TrainingLoader
from shards.loading.config import BatchConfig
from shards.splits.split import Split
from tests.support.sound.vowel_corpus import make_vowel_corpus


def test_the_three_snippets_run_as_written(tmp_path):
    input_root, output_root, device = make_vowel_corpus(tmp_path / "corpus", utterances=2), tmp_path / "shards", "cpu"

    FeatureProcessor(input_root, output_root).process_dataset()

    shard_set = ShardSet.open(output_root)
    split = Split(train=("C1", "C2", "O1", "O2"), validation=("C3", "O3"), test=())
    # One step an epoch: the epochs of the full-sized model are most of this test.
    batch = BatchConfig(speakers_per_accent=2, utterances_per_speaker=2, crop_frames=20)
    train_loader = TrainingLoader(shard_set, split, batch)
    val_loader = EvaluationLoader(shard_set, split.validation, batch)
    model = EnhancedAccentEncoder()

    train_accent_encoder(model, train_loader, val_loader, num_epochs=10, device=device)

    dataloader = EvaluationLoader(shard_set, split.validation, batch)
    embeddings, labels, accents = extract_embeddings(model, dataloader, device)

    assert embeddings.shape == (4, model.config.embedding_dim)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    assert sorted(accents) == ["Close"] * 2 + ["Open"] * 2
    assert [shard_set.accents[label] for label in labels] == list(accents)
    same = np.equal.outer(labels, labels)
    similarity = embeddings @ embeddings.T
    assert similarity[same].mean() > similarity[~same].mean()
