"""Streams of the book's own networks: the same bytes on every machine, in every release.

Where the weights in ``reference/weights`` are trained anew, print the new values with
``python tests/test_codecs_learned_golden.py`` and put them in place of `GOLDEN`. Where they are
not, a change of any value means that no stream decodes any more.
"""

import hashlib
from pprint import pprint

import numpy as np
import pytest
from codec_images import phantom
from context_networks import texture

from helpers import weights
from helpers.codecs.classical import JpegXl
from helpers.codecs.learned import MODELS, LearnedCodec

PICTURES = {
    "8 bits": texture((40, 56)),
    "12 bits": texture((40, 56), 12),
    "signed": texture((40, 56), 12, signed=True),
}
# SHA-256 of whole streams: refresh them with the weights
GOLDEN = {
    "lossless-chest": {
        "8 bits": "0456abd35f2a62ff359476741b2b474e",
        "12 bits": "44ffac08a913e11b2cf67374a6307c84",
        "signed": "ee8ca1efb3f577066151b78bc1035919",
    },
    "lossless-mri": {
        "8 bits": "d4b4e0d333c423a682d3898b3404b460",
        "12 bits": "62e2eb2e3bc82df550a5a3b8eef9e7af",
        "signed": "c9cf961770a7efe3e82c3a68c8af909d",
    },
    "lossless-mammography": {
        "8 bits": "31e925257b351f45d70f19ef85e92774",
        "12 bits": "e83e218899d1f3d753899f5b255c63f3",
        "signed": "b8fc3074f4f8c0cca9a77c8f5cb5a006",
    },
}


@pytest.fixture(autouse=True)
def only_the_books(monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(weights.FOLDER))


def digests(model):
    """First half of the SHA-256 of each picture's stream."""
    codec = LearnedCodec(model, standards=False)
    return {
        name: hashlib.sha256(codec.encode(image)).hexdigest()[:32]
        for name, image in PICTURES.items()
    }


@pytest.mark.parametrize("model", MODELS)
def test_golden_streams(model):
    assert digests(model) == GOLDEN[model]


@pytest.mark.parametrize("model", MODELS)
def test_the_shipped_networks_are_worth_their_bytes(model):
    image = phantom(128)
    assert weights.card(model)["name"] == model
    codec = LearnedCodec(model, standards=False)
    assert len(codec.encode(image)) < len(JpegXl().encode(image))
    assert np.array_equal(codec.decode(codec.encode(image)), image)


if __name__ == "__main__":
    pprint({each: digests(each) for each in MODELS}, sort_dicts=False)
