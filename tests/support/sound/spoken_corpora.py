"""Small copies of real speech in the layouts of corpora that people judged, with errors that are known to be there.

What should have been said is changed, and not the sound: where a label S is replaced by M, the recording really holds
an S where an M should be.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from accent.features.textgrid import read_labels
from shards.corpora.textgrid import Interval, write_textgrid

OTHERS = {
    "AA": "IY", "AE": "UW", "AH": "IY", "AO": "IY", "AW": "IY", "AY": "UW", "EH": "UW", "ER": "AE", "EY": "AO",
    "IH": "AA", "IY": "AA", "OW": "IY", "OY": "IY", "UH": "AE", "UW": "AE", "S": "M", "Z": "M", "SH": "N", "T": "M",
    "K": "Z", "B": "S", "D": "S", "G": "S", "L": "SH", "R": "S", "N": "SH", "M": "SH",
}  # fmt: skip
"""Phones that sound quite different."""
SWAPPED = 0.15


def l2arctic_miniature(saa: Path, root: Path, speakers: Mapping[str, str], recordings: int = 3) -> Path:
    """Copy speakers under L2-ARCTIC's names, with wav, transcript, textgrid and annotation.

    Args:
        saa: real speech with TextGrids.
        root: made.
        speakers: name in L2-ARCTIC -> name in `saa`.
        recordings: of each.
    """
    draw = np.random.default_rng(0)
    for name, original in speakers.items():
        for number in range(1, recordings + 1):
            stem = f"arctic_a{number:04d}"
            for folder in ("wav", "transcript", "textgrid"):
                (root / name / folder).mkdir(parents=True, exist_ok=True)
                [file] = (saa / original / folder).glob(f"{stem}.*")
                shutil.copy(file, root / name / folder)
            (root / name / "annotation").mkdir(exist_ok=True)
            _annotate(root / name, stem, draw)
    return root


def _annotate(folder: Path, stem: str, draw: np.random.Generator) -> None:
    textgrid = folder / "textgrid" / f"{stem}.TextGrid"
    labels: list[Interval] = []
    for start, end, label in read_labels(textgrid, ("phones",)):
        chance = draw.random()
        if label in OTHERS and chance < SWAPPED:
            label = f"{OTHERS[label]}1, {label}*,s" if OTHERS[label] in ("IY", "AA") else f"{OTHERS[label]},{label},s"
        elif label in OTHERS and chance < SWAPPED + 0.03:
            label = f"sil,{label},a"
        elif not label and end - start > 0.05:
            label = "K,sil,d"
        labels.append((start, end, label))
    [sound] = (folder / "wav").glob(f"{stem}.*")
    seconds = soundfile.info(sound).duration
    words = [one for one in read_labels(textgrid, ("words",)) if one[2]]
    tiers = {"words": words, "phones": [one for one in labels if one[2]], "IPA": [], "comments": []}
    write_textgrid(folder / "annotation" / f"{stem}.TextGrid", seconds, tiers)


def speechocean_miniature(speech: Path, root: Path, speakers: Sequence[str], recordings: int = 3) -> Path:
    """Copy speakers in speechocean762's layout: WAVE/SPEAKERnnnn/nnnnnuuuu.WAV and resource/scores.json.

    Args:
        speech: real speech with transcripts, in L2-ARCTIC's layout.
        root: made.
        speakers: their names.
        recordings: of each.
    """
    from shards.alignment.aligner import Aligner
    from shards.alignment.transcript import find_words

    draw, aligner = np.random.default_rng(0), Aligner()
    scores = {}
    for speaker in speakers:
        number = int("".join(sign for sign in speaker if sign.isdigit()))
        wave = root / "WAVE" / f"SPEAKER{number:04d}"
        wave.mkdir(parents=True)
        for path in sorted((speech / speaker / "wav").iterdir())[:recordings]:
            name = f"{number:05d}{int(path.stem[-4:]):04d}"
            samples, rate = soundfile.read(path)
            soundfile.write(wave / f"{name}.WAV", samples, rate, subtype="PCM_16", format="WAV")
            text = (speech / speaker / "transcript" / f"{path.stem}.txt").read_text()
            words, _ = find_words(text, aligner.knows)
            scores[name] = _scored([(word, aligner.pronunciation(word)) for word in words], draw)
    (root / "resource").mkdir()
    (root / "resource" / "scores.json").write_text(json.dumps(scores))
    return root


def _scored(words: list[tuple[str, list[str]]], draw: np.random.Generator) -> dict:
    told = []
    for word, phones in words:
        swapped = [phone in OTHERS and draw.random() < SWAPPED for phone in phones]
        expected = [OTHERS[phone] if other else phone for phone, other in zip(phones, swapped, strict=True)]
        accuracies = [0.0 if other else 2.0 for other in swapped]
        vowel = [phone + "0" if phone[0] in "AEIOU" else phone for phone in expected]
        accuracy = round(5 * float(np.mean(accuracies)))
        told.append({
            "accuracy": accuracy, "phones": vowel, "phones-accuracy": accuracies, "stress": 10, "text": word.upper(),
            "total": accuracy, "mispronunciations": [],
        })  # fmt: skip
    mean = float(np.mean([one["accuracy"] for one in told]))
    return {
        "accuracy": round(mean), "completeness": 10.0, "fluency": 9, "prosodic": 9, "total": round(mean),
        "text": " ".join(one["text"] for one in told), "words": told,
    }  # fmt: skip
