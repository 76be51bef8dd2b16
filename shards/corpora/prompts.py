"""Which utterances say the same text: the identity of prompts.

Embeddings are compared across speakers who read the same words, and prompts are held out of training, so two
utterances must share a prompt exactly when they share a text.  File names are not enough: ARCTIC numbers its
sentences, but other corpora reuse those names for different sentences.  Cost: one pass over the transcripts.
"""

import functools
import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

_APOSTROPHES = {ord(character): "'" for character in "\u2018\u2019\u201b\u02bc\u02bb\u2032\u00b4\u0060\uff07"}
"""Typographic ones, the modifier letter, and what keyboards have instead."""


def normalise_text(text: str) -> str:
    """Return the words alone: one case, no punctuation, single spaces.

    Letters keep the signs that belong to them (vowel signs of Hindi, tones of Thai), and an apostrophe inside a word is
    one, however it is typed.

    Args:
        text: a transcript.

    Returns:
        The text that prompts are compared by, composed (NFC).
    """
    letters = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    spaced = "".join(map(_word_character, unicodedata.normalize("NFKC", letters)))
    words = (word.strip("'") for word in spaced.split())
    return " ".join(word for word in words if any(letter.isalnum() or letter == "_" for letter in word))


@functools.cache
def _word_character(character: str) -> str:
    """Return a character of words as it is, nothing for one that cannot be seen, a space for any other."""
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return character if category[0] in "LNM" or character in "'_" else " "


def prompts_by_name_and_text(names: Sequence[str], texts: Sequence[str | None], keys: Sequence[str]) -> list[str]:
    """Name the prompt of each utterance of a corpus whose speakers share file names.

    A file name is the prompt as long as it stands for one text and that text has no other name; speakers without a
    transcript are then taken to have read the same.  Where the same name holds different texts, or one text goes by
    several names, the prompt is `text-` and ten hexadecimal digits of the normalised text's hash.  Where a name holds
    different texts and an utterance has none, nobody can say what was read: its prompt is its own key.

    Args:
        names: file name without its ending, of each of N utterances.
        texts: transcript of each, or None.
        keys: unique key of each.

    Returns:
        N prompts.
    """
    normalised = [normalise_text(text) if text else "" for text in texts]
    texts_of: dict[str, set[str]] = defaultdict(set)
    names_of: dict[str, set[str]] = defaultdict(set)
    for name, text in zip(names, normalised, strict=True):
        if text:
            texts_of[name].add(text)
            names_of[text].add(name)
    prompts = []
    for name, text, key in zip(names, normalised, keys, strict=True):
        if not text and len(texts_of[name]) == 1:
            (text,) = texts_of[name]
        if text:
            prompts.append(name if names_of[text] == {name} and len(texts_of[name]) == 1 else prompt_of_text(text))
        else:
            prompts.append(key if texts_of[name] else name)
    return prompts


def prompt_of_text(normalised: str) -> str:
    """Return the prompt named after a normalised text."""
    return f"text-{hashlib.sha256(normalised.encode(errors='surrogatepass')).hexdigest()[:10]}"
