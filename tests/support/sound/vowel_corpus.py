"""A corpus small enough for every test: two accents that differ in one vowel's first formant."""

from pathlib import Path

import soundfile

from tests.support.sound.synthesis import vowel

FIRST_FORMANT = {"Open": 800.0, "Close": 400.0}
SPEAKERS = {f"{accent[0]}{number}": accent for accent in FIRST_FORMANT for number in (1, 2, 3)}


def make_vowel_corpus(root: Path, speakers: dict[str, str] = SPEAKERS, utterances: int = 3) -> Path:
    """Write a tree in L2-ARCTIC's layout with a `speakers.tsv`; return its root."""
    for place, (speaker, accent) in enumerate(speakers.items()):
        (root / speaker / "wav").mkdir(parents=True)
        for utterance in range(utterances):
            samples = vowel(100 + 15 * place + utterance, [FIRST_FORMANT[accent], 1500.0, 2500.0], seconds=0.7)
            soundfile.write(root / speaker / "wav" / f"arctic_a{utterance:04d}.wav", samples, 16_000)
    rows = "".join(f"{speaker}\t{accent}\n" for speaker, accent in speakers.items())
    (root / "speakers.tsv").write_text("speaker\taccent\n" + rows)
    return root
