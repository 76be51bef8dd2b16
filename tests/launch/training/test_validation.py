"""Validation against a direct forward of each utterance."""

import pytest
import torch

from accent import EnhancedAccentEncoder, ModelConfig
from launch import train_accent_encoder
from shards import EvaluationLoader
from shards.loading.config import BatchConfig
from tests.support.training.small_runs import small_loaders


def test_validation_tells_what_a_direct_forward_of_each_utterance_tells(shards):
    train_loader, val_loader = small_loaders(shards)
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    result = train_accent_encoder(model, train_loader, val_loader, num_epochs=1, device="cpu")
    right, entropy, embeddings, accents = [], [], [], []
    with torch.no_grad():
        for batch in EvaluationLoader(val_loader.shard_set, val_loader.speakers, BatchConfig()):
            for row in range(len(batch.sample_B)):
                length = int(batch.valid_BT[row].sum())
                output = model(batch.frames_BTD[row : row + 1, :length], batch.valid_BT[row : row + 1, :length])
                accent = int(batch.accent_B[row])
                right.append(float(output.accent_logits_BA.argmax() == accent))
                entropy.append(float(-output.accent_logits_BA.log_softmax(-1)[0, accent]))
                embeddings.append(output.embedding_BE[0])
                accents.append(accent)
    told = result.history[-1]
    assert len(right) == 18
    assert told["accuracy"] == pytest.approx(sum(right) / 18)
    recalls = [[hit for hit, accent in zip(right, accents, strict=True) if accent == one] for one in range(3)]
    assert told["balanced_accuracy"] == pytest.approx(sum(sum(hits) / len(hits) for hits in recalls) / 3)
    assert told["cross_entropy"] == pytest.approx(sum(entropy) / 18, rel=1e-4)
    assert told["spread"] == pytest.approx(float(torch.stack(embeddings).var(0, correction=0).sum()), rel=1e-4)
    assert "map_at_r" not in told  # one validation speaker an accent: nothing to retrieve
