"""Masks of dropout: the right share, unrelated to one another, and a function of the row alone."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from accent.augmentation.keyed_uniform import row_keys
from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.keyed_dropout import KeyedDropout, KeyedLayer, keyed_rows, normal, random_words
from accent.model.phonetic.phone_head import PhoneHead
from accent.model.transformer import TransformerLayer, rotary_angles

CPU = torch.device("cpu")
MODELS = [
    EnhancedAccentEncoder(ModelConfig(hidden=16, blocks=1, layers=1, heads=2, embedding_dim=8, dropout=0.2)),
    PhoneHead(143, units=5, channels=8, dropout=0.2),
]


def keys(step: int, rows: int = 8, first_row: int = 0, seed: int = 1) -> Tensor:
    return row_keys(seed, step, first_row, rows, CPU)


def kept(share: float, keys_B: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Which ones of a tensor of ones are kept, `[B, N]`."""
    dropout = KeyedDropout(share)
    with keyed_rows(dropout, keys_B):
        return (dropout(torch.ones(len(keys_B), *shape)) > 0).flatten(1).numpy()


def first(output: object) -> Tensor:
    """The embedding of an encoder, the logits of a head."""
    return output[0]


def correlation_limit(pairs: int, looked_at: int) -> float:
    """What the largest of so many correlations between unrelated masks exceeds once in a thousand times."""
    return scipy.stats.norm.isf(1e-3 / 2 / looked_at) / pairs**0.5


@pytest.mark.parametrize("share", [0.01, 0.15, 0.2, 0.3, 0.5, 0.9])
def test_the_share_dropped_is_the_share_asked_for_in_all_and_in_every_row(share):
    kept_RN = np.concatenate([kept(share, keys(step, rows=16), (40, 256)) for step in range(8)])
    dropped = int((~kept_RN).sum())
    assert scipy.stats.binomtest(dropped, kept_RN.size, share).pvalue > 1e-3
    deviation_R = (~kept_RN).sum(1) - share * kept_RN.shape[1]
    chi_squared = (deviation_R**2).sum() / (kept_RN.shape[1] * share * (1 - share))
    assert 1e-3 < scipy.stats.chi2.cdf(chi_squared, len(kept_RN)) < 1 - 1e-3


def test_what_is_kept_is_scaled_so_that_the_mean_stays():
    dropout = KeyedDropout(0.15)
    x = torch.rand(16, 500, 20)
    with keyed_rows(dropout, keys(0, rows=16)):
        made = dropout(x)
    torch.testing.assert_close(made[made != 0], x[made != 0] / 0.85)
    assert made.mean().item() == pytest.approx(x.mean().item(), rel=0.005)


def test_the_words_are_uniform_and_neighbours_unrelated():
    words_BN = np.concatenate([random_words(keys(step, rows=32), 8192).numpy() for step in range(4)])
    high_BN = (words_BN.astype(np.int64) + 2**31) >> 28
    for lag in (0, 1, 2, 48, 256, 1024):
        pairs = high_BN[:, : high_BN.shape[1] - lag] * 16 + high_BN[:, lag:] if lag else high_BN
        cells = np.bincount(pairs.ravel(), minlength=256 if lag else 16)
        assert scipy.stats.chisquare(cells).pvalue > 1e-3, lag


def test_no_place_of_a_mask_tells_another():
    kept_BN = kept(0.3, keys(2, rows=16), (2**14,)).astype(float)
    centred_BN = kept_BN - 0.7
    spectrum = np.abs(np.fft.rfft(centred_BN, axis=1)) ** 2
    # Correlations with the mask itself, shifted in a circle.
    by_lag = np.fft.irfft(spectrum, axis=1)[:, 1 : 2**13] / (2**14 * 0.21)
    assert np.abs(by_lag).max() < correlation_limit(2**14, by_lag.size)


@pytest.mark.parametrize("other", ["row", "step", "seed", "layer"])
def test_masks_of_other_rows_steps_seeds_and_layers_are_unrelated(other):
    layers = nn.ModuleList(KeyedDropout(0.5) for _ in range(12))

    def masks(keys_B: Tensor, chosen: int) -> list[np.ndarray]:
        with keyed_rows(layers, keys_B):
            return [(layer(torch.ones(len(keys_B), 4096)) > 0).numpy() for layer in list(layers)[:chosen]]

    made = {
        "row": lambda: masks(keys(5, rows=12), 1)[0],
        "step": lambda: np.concatenate([masks(keys(step, rows=1), 1)[0] for step in range(12)]),
        "seed": lambda: np.concatenate([masks(keys(5, rows=1, seed=seed), 1)[0] for seed in range(12)]),
        "layer": lambda: np.concatenate(masks(keys(5, rows=1), 12)),
    }[other]()
    assert made.shape == (12, 4096)
    correlations = np.corrcoef(made)[np.triu_indices(12, 1)]
    assert np.abs(correlations).max() < correlation_limit(4096, len(correlations))


@pytest.mark.parametrize("model", MODELS, ids=["encoder", "phone head"])
def test_a_row_comes_out_the_same_in_any_part_of_the_batch(model):
    model.train().double()
    frames_BTD, valid_BT = torch.randn(6, 41, 143, dtype=torch.float64), torch.ones(6, 41, dtype=torch.bool)
    with keyed_rows(model, keys(7, rows=6)):
        whole = first(model(frames_BTD, valid_BT))
    for part in (slice(0, 3), slice(3, 6), slice(5, 6)):
        with keyed_rows(model, keys(7, rows=part.stop - part.start, first_row=part.start)):
            torch.testing.assert_close(first(model(frames_BTD[part], valid_BT[part])), whole[part], rtol=0, atol=1e-12)
    with keyed_rows(model, keys(8, rows=6)):
        assert not torch.allclose(first(model(frames_BTD, valid_BT)), whole, atol=1e-3)


@pytest.mark.parametrize("model", MODELS, ids=["encoder", "phone head"])
def test_every_layer_with_chance_gets_keys_of_its_own_and_loses_them_afterwards(model):
    layers = [layer for layer in model.modules() if isinstance(layer, KeyedLayer)]
    assert not any(isinstance(layer, nn.Dropout) for layer in model.modules())
    with keyed_rows(model, keys(0)):
        assert len({tuple(layer.keys_B.tolist()) for layer in layers}) == len(layers)
    assert all(layer.keys_B is None for layer in layers)


def test_a_pass_computed_again_in_backward_meets_the_same_mask():
    dropout = KeyedDropout(0.4)
    x = torch.randn(4, 100, requires_grad=True)

    def forward(x: Tensor) -> Tensor:
        with keyed_rows(dropout, keys(3, rows=4)):
            return dropout(x.square()).square().sum()

    (plain,) = torch.autograd.grad(forward(x), x)
    (again,) = torch.autograd.grad(checkpoint(forward, x, use_reentrant=False, preserve_rng_state=False), x)
    assert torch.equal(plain, again)
    assert (plain == 0).any()


def test_evaluation_and_a_share_of_zero_return_the_very_tensor():
    x = torch.randn(2, 3)
    assert KeyedDropout(0.5).eval()(x) is x
    assert KeyedDropout(0.0)(x) is x
    assert not KeyedDropout(0.5)(torch.zeros(0, 3)).numel()


def test_without_keys_torchs_generator_decides():
    dropout, x = KeyedDropout(0.5), torch.ones(4, 64)
    torch.manual_seed(1)
    one, other = dropout(x), dropout(x)
    assert not torch.equal(one, other)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), one)


def test_keys_of_another_number_of_rows_are_refused():
    dropout = KeyedDropout(0.5)
    with keyed_rows(dropout, keys(0, rows=4)), pytest.raises(ValueError, match="keys of 4 rows were given for a batch"):
        dropout(torch.ones(3, 2))


def test_half_precision_meets_the_masks_of_float32_and_stays_half():
    dropout = KeyedDropout(0.15)
    with keyed_rows(dropout, keys(1)):
        exact, half = dropout(torch.ones(8, 300)), dropout(torch.ones(8, 300, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert torch.equal(exact > 0, half > 0)
    torch.testing.assert_close(half, exact.to(torch.bfloat16), rtol=0, atol=0)


def test_attention_drops_probabilities_as_torch_does(monkeypatch):
    # torch's own function takes a mask of its own making; where it drops nothing, both ways must agree.
    layer = TransformerLayer(8, heads=2, dropout=0.25).double()
    for one in layer.modules():
        if isinstance(one, KeyedDropout) and one is not layer.attention_dropout:
            one.share = 0.0
    x_BUH, attend_BU = torch.randn(3, 7, 8, dtype=torch.float64), torch.ones(3, 7, dtype=torch.bool)
    attend_BU[1, 4:] = False
    angles = rotary_angles(7, 4, CPU, torch.float64)
    seen = []
    monkeypatch.setattr(KeyedDropout, "forward", lambda _, x: seen.append(x) or x)
    ours = layer(x_BUH, attend_BU, *angles)
    torch.testing.assert_close(ours, layer.eval()(x_BUH, attend_BU, *angles), rtol=0, atol=1e-12)
    shares = next(x for x in seen if x.shape == (3, 2, 7, 7))
    torch.testing.assert_close(shares.sum(-1), torch.ones(3, 2, 7, dtype=torch.float64))
    assert (shares[1, :, :, 4:] == 0).all()


def test_the_noise_of_the_phone_heads_is_normal_and_hides_as_much_as_it_should():
    noise = normal(keys(4, rows=64), 2000).numpy()
    assert scipy.stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(noise)[np.triu_indices(64, 1)]).max() < correlation_limit(2000, 64 * 63 // 2)
    head = PhoneHead(30, units=5, channels=8)
    with keyed_rows(head, keys(5, rows=400)):
        hidden_BTD = head.hide(torch.full((400, 100, 30), 9.0)).numpy() == 0
    columns_BD, frames_BT = hidden_BTD.all(1), hidden_BTD.all(2)
    assert scipy.stats.binomtest(int(columns_BD.sum()), columns_BD.size, head.hide.COLUMNS).pvalue > 1e-3
    # Stretches of 0 to 24 frames that begin anywhere; some lose their end.
    expected = np.mean([min(length, 100 - start) for length in range(25) for start in range(100)])
    assert frames_BT.sum(1).mean() == pytest.approx(expected, abs=4 * 7.5 / 400**0.5)
    lengths = np.abs(np.diff(frames_BT.astype(int), axis=1, prepend=0, append=0)).sum(1)
    assert set(lengths) == {0, 2}


@pytest.mark.slow
def test_a_compiled_layer_makes_the_same_masks():
    dropout = KeyedDropout(0.3)
    compiled = torch.compile(dropout, dynamic=False)
    for step in range(3):
        with keyed_rows(dropout, keys(step)):
            assert torch.equal(compiled(torch.ones(8, 77, 13)), dropout(torch.ones(8, 77, 13)))


@pytest.mark.gpu
def test_a_gpu_makes_the_same_masks():
    ours, theirs = (random_words(row_keys(3, 4, 100, 50, torch.device(name)), 999).cpu() for name in ("cpu", "cuda"))
    assert torch.equal(ours, theirs)
