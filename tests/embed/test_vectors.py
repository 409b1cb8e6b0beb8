"""Vectors read from a server's reply."""

import numpy as np
import pytest

from datagen.embed.vectors import read
from datagen.llm.http_errors import Unusable
from tests.servers import embeddings

TEXTS = ["one", "two", "three"]


@pytest.mark.parametrize("format", ["float", "base64"])
def test_both_encodings_are_read(format):
    asked = {"input": TEXTS, "encoding_format": format}
    found = read(embeddings.reply(asked), 3)
    assert np.abs(found - np.array([embeddings.vector(text) for text in TEXTS])).max() < 1e-6
    assert read(embeddings.reply(asked, "shuffled"), 3).tobytes() == found.tobytes()


@pytest.mark.parametrize("embedding", [[10**400], "", "AAA=", [[1.0]], [{"a": 1}], "x", 5, None, []])
def test_what_is_no_vector_is_no_reply(embedding):
    with pytest.raises(Unusable, match="an embedding"):
        read({"data": [{"embedding": embedding}]}, 1)
