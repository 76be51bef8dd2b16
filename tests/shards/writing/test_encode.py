"""Speech of other languages than English: featurized, without phones."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accent.features.config import FeatureConfig
from accent.features.phones import PHONES
from shards.corpora import open_corpus
from shards.corpora.corpus import Utterance
from shards.corpora.textgrid import write_textgrid
from shards.writing.encode import encode
from tests.support.sound.vowel_corpus import make_vowel_corpus


@pytest.fixture(scope="module")
def utterance(tmp_path_factory) -> Utterance:
    """An utterance with a TextGrid whose labels are IPA, such as aligners write for any language."""
    root = make_vowel_corpus(tmp_path_factory.mktemp("corpus"), {"O1": "Open"}, 1)
    grid = root / "O1" / "textgrid" / "arctic_a0000.TextGrid"
    grid.parent.mkdir()
    write_textgrid(grid, 0.7, {"words": [(0.1, 0.6, "ach")], "phones": [(0.1, 0.4, "aː"), (0.4, 0.6, "ç")]})
    return open_corpus(root).utterances[0]


@pytest.mark.parametrize(("language", "labelled"), [(None, True), ("en", True), ("en-IN", True), ("de", False)])
def test_only_english_speech_has_phones(utterance, language, labelled):
    root = Path(utterance.path).parents[2]
    spoken = replace(utterance, extra={} if language is None else {"language": language})
    made = encode(spoken, root, FeatureConfig())
    metadata = json.loads(made.sample.metadata_json)
    assert made.sample.n_frames > 10
    if labelled:
        phones_T = np.load(io.BytesIO(made.sample.phones_npy))
        assert {"AA", "HH"} <= {PHONES[phone] for phone in phones_T if phone >= 0}
        assert made.remarks == () and "phones_fault" not in metadata
    else:
        assert made.sample.phones_npy is None
        assert made.remarks == ("its language is 'de', and the phones are those of English; kept without phones",)
        assert metadata["extra"]["language"] == "de"
