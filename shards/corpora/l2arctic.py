"""L2-ARCTIC v5.0 as distributed: 24 speakers of English with six first languages, which are the accents.

ROOT/SPEAKER/{wav,transcript,textgrid,annotation} for the read sentences (the unzipped ROOT/SPEAKER/SPEAKER/... does
as well), and ROOT/suitcase_corpus/{wav,transcript,...} with one spontaneous story a speaker, named by the speaker in
lower case.  The two parts are never mixed: `part` chooses.

Source: Zhao et al., "L2-ARCTIC: A Non-Native English Speech Corpus", Interspeech 2018; documentation of v5.0.
Cost: about two seconds for the 26,867 utterances.
"""

from pathlib import Path

from accent.errors import AccentError
from shards.corpora.corpus import Corpus, CorpusConfig, Refusal, Utterance, assemble, chosen_speakers, key_of
from shards.corpora.speaker_folder import Recording, recordings, speaker_folder, speaker_folders, unreadable_folders

NAME = "l2arctic"
SUITCASE = "suitcase_corpus"

SPEAKERS: dict[str, tuple[str, str]] = {
    "ABA": ("Arabic", "male"),
    "SKA": ("Arabic", "female"),
    "YBAA": ("Arabic", "male"),
    "ZHAA": ("Arabic", "female"),
    "BWC": ("Mandarin", "male"),
    "LXC": ("Mandarin", "female"),
    "NCC": ("Mandarin", "female"),
    "TXHC": ("Mandarin", "male"),
    "ASI": ("Hindi", "male"),
    "RRBI": ("Hindi", "male"),
    "SVBI": ("Hindi", "female"),
    "TNI": ("Hindi", "female"),
    "HJK": ("Korean", "female"),
    "HKK": ("Korean", "male"),
    "YDCK": ("Korean", "female"),
    "YKWK": ("Korean", "male"),
    "EBVS": ("Spanish", "male"),
    "ERMS": ("Spanish", "male"),
    "MBMPS": ("Spanish", "female"),
    "NJS": ("Spanish", "female"),
    "HQTV": ("Vietnamese", "male"),
    "PNV": ("Vietnamese", "female"),
    "THV": ("Vietnamese", "female"),
    "TLV": ("Vietnamese", "male"),
}
"""Name -> first language, sex.  Each language has two women and two men."""

WITHOUT_SUITCASE = ("ASI", "SKA")
"""Speakers who did not tell the suitcase story."""


def is_here(root: Path) -> bool:
    """Return whether `root` holds a folder of a speaker of L2-ARCTIC, or the suitcase corpus."""
    return any(speaker_folder(root, name) is not None for name in (*SPEAKERS, SUITCASE))


def what_is_missing(root: Path) -> str:
    """Return one line saying why `root` is not a corpus and what to do about it."""
    archives = sorted(path.name for path in root.glob("*.zip") if path.stem in (*SPEAKERS, SUITCASE))
    if archives:
        return f"L2-ARCTIC is still packed here ({archives[0]} and others); unzip them in this folder"
    deeper = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and is_here(entry))
    if deeper:
        return f"the speakers of L2-ARCTIC are one folder deeper; give {root / deeper[0]}"
    return "neither a speakers.tsv nor speakers of L2-ARCTIC here; add a speakers.tsv with the columns speaker, accent"


def read(root: Path, config: CorpusConfig) -> Corpus:
    """List L2-ARCTIC.

    Args:
        root: absolute folder that holds the speakers' folders.
        config: speakers, accents and part.  No speakers named: those that are there, so a part of the release works.

    Returns:
        The corpus, `l2arctic` or `l2arctic-suitcase`.

    Raises:
        AccentError: a speaker who is unknown or whose folder is missing, an unknown accent, no sound.
    """
    chosen = chosen_speakers({name: accent for name, (accent, _) in SPEAKERS.items()}, config, root)
    return (_read_suitcase if config.part == "suitcase" else _read_sentences)(root, chosen, config)


def _read_sentences(root: Path, chosen: list[str], config: CorpusConfig) -> Corpus:
    folders = speaker_folders(root)
    folders.pop(SUITCASE, None)
    utterances: list[Utterance] = []
    refused: list[Refusal] = []
    found = {name: list(recordings(root, folders[name])) if name in folders else [] for name in chosen}
    missing = [name for name, listed in found.items() if not listed]
    if missing and config.speakers:
        raise AccentError(
            f"{root}: no sound of {', '.join(missing)} (SPEAKER/wav); unpack {missing[0]}.zip "
            f"{'and the others ' if missing[1:] else ''}there, or name only those you have in corpus.speakers"
        )
    for name, listed in found.items():
        refused += [one for one in listed if isinstance(one, Refusal)]
        utterances += [
            _utterance(root, name, one.name, one.name, NAME, one) for one in listed if isinstance(one, Recording)
        ]
    if not config.speakers:
        refused += unreadable_folders(root)
        refused += [
            Refusal(name, "not a speaker of L2-ARCTIC; other corpora need a speakers.tsv")
            for name in folders
            if name not in SPEAKERS
        ]
    return assemble(NAME, root, utterances, refused)


def _read_suitcase(root: Path, chosen: list[str], config: CorpusConfig) -> Corpus:
    folder = speaker_folder(root, SUITCASE)
    if folder is None:
        raise AccentError(f"{root}: no folder {SUITCASE}/wav; unpack {SUITCASE}.zip there or set corpus.part=read")
    utterances: list[Utterance] = []
    refused: list[Refusal] = []
    for found in recordings(root, folder):
        if isinstance(found, Refusal):
            refused.append(found)
        elif found.name.upper() in chosen:
            name = found.name.upper()
            # Everybody tells the story in words of their own, so no two speakers share this prompt.
            utterances.append(_utterance(root, name, "suitcase", f"suitcase_{name}", f"{NAME}-suitcase", found))
        elif found.name.upper() not in SPEAKERS:
            refused.append(Refusal(str(found.path.relative_to(root)), "not named after a speaker of L2-ARCTIC"))
    told = {utterance.speaker for utterance in utterances}
    for name in chosen if config.speakers else ():
        if name in told:
            continue
        if name not in WITHOUT_SUITCASE:
            raise AccentError(f"{folder / 'wav'}: no {name.lower()}.wav; leave {name} out of corpus.speakers")
        refused.append(Refusal(f"{SUITCASE}/wav/{name.lower()}.wav", f"{name} did not record the suitcase story"))
    return assemble(f"{NAME}-suitcase", root, utterances, refused)


def _utterance(root: Path, speaker: str, name: str, prompt: str, corpus: str, found: Recording) -> Utterance:
    accent, sex = SPEAKERS[speaker]
    return Utterance(
        key=key_of(speaker, name),
        path=found.path,
        speaker=speaker,
        accent=accent,
        corpus=corpus,
        prompt=prompt,
        text=found.text,
        sex=sex,
        textgrid=found.textgrid,
        extra={"annotation": str(found.annotation.relative_to(root))} if found.annotation else {},
    )
