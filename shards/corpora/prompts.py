"""Which utterances say the same text: the identity of prompts.

Embeddings are compared across speakers who read the same words, and prompts are held out of training, so two
utterances must share a prompt exactly when they share a text.  File names alone do not tell: ARCTIC numbers its
sentences, but other corpora reuse those names for different sentences.  Cost: one pass over the transcripts.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence


def normalise_text(text: str) -> str:
    """Return the words alone: one case, no punctuation, single spaces.

    Args:
        text: a transcript.

    Returns:
        The text that prompts are compared by.
    """
    return " ".join(re.findall(r"[\w']+", unicodedata.normalize("NFKC", text).casefold()))


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
    return f"text-{hashlib.sha256(normalised.encode()).hexdigest()[:10]}"
