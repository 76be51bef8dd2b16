"""How often the speech check refuses real speech, and how often it lets noise and music pass.

    python -m tests.benchmarks.speech_check DATA

DATA holds corpora in L2-ARCTIC's layout, such as `../shared/data`; of each, up to 500 recordings are drawn.  Printed:
the share refused of real speech whole, in pieces of one second and with pink noise added, and of synthesised noise and
music.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from accent.audio.decode import decode
from accent.audio.prepare import prepare_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.inference.speech_check import SoundKind, kind_of_sound
from tests.support.sound.not_speech import MUSIC, NOISE, RATE, pink, synthesise

MOST = 500
CONFIG = FeatureConfig()


def kinds(sounds: Iterable[tuple[np.ndarray, int]]) -> list[SoundKind]:
    found = []
    for samples, rate in sounds:
        try:
            found.append(kind_of_sound(extract(prepare_speech(samples, rate, CONFIG.audio), CONFIG).frames_TD))
        except AccentError:
            continue  # Silence, which is not asked about here: a piece of one second may be a pause.
    return found


def line(name: str, found: list[SoundKind]) -> str:
    refused = sum(one.reason is not None for one in found)
    voiced, steady, level = np.array(found).T
    ranges = [
        f"{word} {column.min():.2f} ... {column.max():.2f}"
        for word, column in (("voiced", voiced), ("steady", steady), ("level", level))
    ]
    share = f"refused {refused:4} ({refused / len(found):6.2%})"
    return f"{name:28} {len(found):5} sounds, {share}   {', '.join(ranges)} dB"


def with_noise(samples: np.ndarray, rate: int, ratio_db: float, seed: int) -> np.ndarray:
    noise = pink(np.random.default_rng(seed), len(samples) / RATE + 1)[: len(samples)]
    return samples + noise * np.sqrt((samples**2).mean() / (noise**2).mean() / 10 ** (ratio_db / 10))


def main() -> None:
    for corpus in sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir()):
        files = sorted(path for path in corpus.glob("*/wav/*") if path.suffix in (".wav", ".flac"))
        chosen = np.random.default_rng(0).permutation(len(files))[:MOST]
        sounds = [decode(files[at])[:2] for at in chosen]
        mono = [(samples.mean(axis=1), rate) for samples, rate in sounds]
        print(line(corpus.name, kinds(mono)), flush=True)
        pieces = [
            (samples[start : start + rate], rate)
            for samples, rate in mono[:150]
            for start in range(0, len(samples) - rate, rate)
        ]
        print(line(f"{corpus.name}, one second", kinds(pieces)), flush=True)
        for ratio_db in (20, 10, 5, 0):
            noisy = [(with_noise(one, rate, ratio_db, at), rate) for at, (one, rate) in enumerate(mono[:150])]
            print(line(f"{corpus.name}, noise at {ratio_db} dB", kinds(noisy)), flush=True)
    for name, group, count in (("noise", NOISE, 20), ("music", MUSIC, 50)):
        for kind in group:
            made = [(synthesise(kind, 1_000 + seed), RATE) for seed in range(count)]
            print(line(f"{name}: {kind.__name__}", kinds(made)), flush=True)


if __name__ == "__main__":
    main()
