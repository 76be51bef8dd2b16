"""ECAPA-TDNN from scratch on log-mel: what a speaker-recognition network makes of so few speakers.

SpeechBrain's network (optional extra `speechbrain`), small, trained with cross-entropy on fixed-length crops; every
utterance's mean spectrum is removed.  The epoch that tells the validation speakers' accents best is kept.

Source: Desplanques, Thienpondt & Demuynck, ECAPA-TDNN, Interspeech 2020; Ravanelli et al., SpeechBrain, 2021.
Shapes: B rows, T frames, D mel bands, E embedding, A accents, N utterances.
Cost: about two minutes a fold of 200 speakers on one core.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from accent.features.schema import N_MELS
from accent.metrics.calibration import fit_temperature
from accent.metrics.groups import mean_of_utterances
from launch.evaluation.baselines.baseline import FittedBaseline
from launch.evaluation.utterances import Utterances
from shards.splits.split import Split


@dataclass(frozen=True)
class EcapaConfig:
    """The network and its training; chosen once, before any figure was seen."""

    channels: int = 32
    """Channels of the convolutions; three times as many after they are joined."""
    embedding: int = 64
    """Width of the embedding."""
    epochs: int = 10
    """Passes over the training utterances."""
    batch: int = 32
    """Crops a step, accents equally often."""
    crop_frames: int = 150
    """Frames of a crop; shorter utterances are repeated."""
    lr: float = 2e-3
    """Highest learning rate of the one-cycle schedule."""
    weight_decay: float = 1e-2
    """AdamW's."""


class Ecapa:
    """ECAPA-TDNN trained from scratch."""

    name = "ecapa"
    title = "ECAPA-TDNN from scratch on mel"
    seeded = True

    def __init__(self, config: EcapaConfig = EcapaConfig()) -> None:
        self._config = config

    def fit(self, utterances: Utterances, split: Split, fold: int, seed: int) -> FittedBaseline:
        """Train the network on the training speakers; without validation speakers the last epoch is kept."""
        taught = utterances.taught(split)
        validation = taught[np.isin(utterances.speaker_N[taught], split.validation)]
        training = np.setdiff1d(taught, validation)
        mel = {int(number): _mel(utterances, int(number)) for number in (*taught, *utterances.tested(split))}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _Network(self._config, len(utterances.accents))
            epoch = self._train(network, mel, utterances, training, validation, seed)
        temperature = 1.0
        if len(validation):
            temperature = fit_temperature(_answers(network, mel, validation)[1], utterances.accent_N[validation])
        numbers = np.array(sorted(mel))
        embedding_NE, logits_NA = _answers(network, mel, numbers)
        answer = mean_of_utterances(embedding_NE, logits_NA / temperature)
        place = {int(number): row for row, number in enumerate(numbers)}
        return FittedBaseline(
            lambda groups: answer([np.array([place[int(number)] for number in rows]) for rows in groups]),
            {"epoch": epoch, "temperature": temperature},
        )

    def _train(
        self,
        network: "_Network",
        mel: dict[int, torch.Tensor],
        utterances: Utterances,
        training: np.ndarray,
        validation: np.ndarray,
        seed: int,
    ) -> int:
        config, generator = self._config, np.random.default_rng(seed)
        accent_n = utterances.accent_N[training]
        chance_n = 1 / np.bincount(accent_n)[accent_n]
        chance_n /= chance_n.sum()
        steps = max(1, len(training) // config.batch)
        optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, config.epochs * steps)
        best, best_epoch, kept = -1.0, config.epochs, None
        for epoch in range(1, config.epochs + 1):
            network.train()
            for _ in range(steps):
                rows = generator.choice(len(training), config.batch, p=chance_n)
                crops = [_crop(mel[int(training[row])], config.crop_frames, generator) for row in rows]
                logits_BA = network(torch.stack(crops))[1]
                loss = nn.functional.cross_entropy(logits_BA, torch.as_tensor(accent_n[rows]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if len(validation):
                told = _answers(network, mel, validation)[1]
                true = utterances.accent_N[validation]
                right = float(np.mean([(told[true == one].argmax(1) == one).mean() for one in np.unique(true)]))
                if right > best:
                    best, best_epoch = right, epoch
                    kept = {name: value.clone() for name, value in network.state_dict().items()}
        if kept is not None:
            network.load_state_dict(kept)
        return best_epoch


class _Network(nn.Module):
    def __init__(self, config: EcapaConfig, n_accents: int) -> None:
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        super().__init__()
        self.encoder = ECAPA_TDNN(
            N_MELS,
            channels=[config.channels] * 4 + [3 * config.channels],
            attention_channels=config.channels // 2,
            res2net_scale=4,
            se_channels=config.channels // 2,
            lin_neurons=config.embedding,
        )
        self.head = nn.Linear(config.embedding, n_accents)

    def forward(self, mel_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding_BE = self.encoder(mel_BTD)[:, 0]
        return embedding_BE, self.head(embedding_BE)


@torch.inference_mode()
def _answers(network: _Network, mel: dict[int, torch.Tensor], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embed utterances one by one, whole: no padding, so no utterance depends on another."""
    network.eval()
    parts = [network(mel[int(number)][None]) for number in numbers]
    embedding_NE, logits_NA = (torch.cat(column).double().numpy() for column in zip(*parts, strict=True))
    return embedding_NE, logits_NA


def _mel(utterances: Utterances, number: int) -> torch.Tensor:
    mel_TD = utterances.family(number, "mel")
    # dB / 10: of the order of 1.
    return torch.as_tensor((mel_TD - mel_TD.mean(0)) / 10, dtype=torch.float32)


def _crop(mel_TD: torch.Tensor, frames: int, generator: np.random.Generator) -> torch.Tensor:
    if len(mel_TD) < frames:
        mel_TD = mel_TD.repeat(-(-frames // len(mel_TD)), 1)
    start = int(generator.integers(len(mel_TD) - frames + 1))
    return mel_TD[start : start + frames]
