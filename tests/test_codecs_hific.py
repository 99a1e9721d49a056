"""The counterpart of HiFiC: one picture on every machine, exact with a delta, errors that help."""

import numpy as np
import painted
import pytest
import torch
from codec_images import make, phantom

from helpers import weights
from helpers.codecs import hific, residual
from helpers.codecs.container import Header, pack, unpack
from helpers.codecs.hific import HificCodec
from helpers.codecs.hyperprior.model import trained
from helpers.codecs.hyperprior.painter import IntegerPainter
from helpers.errors import BitstreamError, DataError
from helpers.experiments.beyond.hific import made
from helpers.models.hyperprior.layout import MIDDLE
from helpers.models.hyperprior.network import UNIT
from helpers.models.hyperprior.transform import Synthesis, cosines, fixed

pytestmark = pytest.mark.usefixtures("weights_here")


@pytest.fixture
def weights_here(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    painted.save(tmp_path / "hific-chest.safetensors")
    return tmp_path


def test_one_rate_is_what_all_rates_were_at_it():
    torch.manual_seed(1)
    whole = Synthesis()
    for values in whole.parameters():
        torch.nn.init.normal_(values, std=0.05)
    latents, picture = torch.randn(1, 256, 3, 4), torch.randn(1, 1, 48, 64)
    with torch.no_grad():
        at = [whole(latents, picture, torch.tensor([level])) for level in (0.0, 0.7)]
        fixed(whole, 0.7)
        told = [whole(latents, picture, torch.tensor([level])) for level in (0.0, 0.7)]
    assert not torch.allclose(at[0], at[1], atol=1e-3)
    assert torch.allclose(told[0], at[1], atol=1e-4) and torch.equal(told[0], told[1])
    assert not any("level" in name for name in whole.state_dict())


def test_whole_numbers_paint_what_floats_paint(weights_here):
    arrays, model = weights.arrays("hific-chest"), trained(hific.BASE)
    net, values = painted.network(), painted.latents()
    state = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in net.state_dict()}
    net.load_state_dict(state)
    grey = model.context.dequantised(values, painted.LEVEL).transpose(2, 0, 1)[None]
    with torch.no_grad():
        floats = made(net, torch.from_numpy(grey.copy()), model.network.spread, cosines())[0, 0]
    floats = np.clip(UNIT * floats.numpy() + MIDDLE, 0, 255)
    assert floats.std() > 5
    whole = IntegerPainter(arrays).paint(*model.context.latents(values, painted.LEVEL))
    assert np.abs(whole - floats).max() < 0.6


def test_the_order_of_additions_does_not_show():
    def backwards(a, b):
        return np.ascontiguousarray(a[:, ::-1]) @ np.ascontiguousarray(b[::-1])

    arrays, context = weights.arrays("hific-chest"), trained(hific.BASE).context
    latents = context.latents(painted.latents(1), painted.LEVEL)
    pictures = [IntegerPainter(arrays, matmul).paint(*latents) for matmul in (np.matmul, backwards)]
    assert np.array_equal(*pictures) and pictures[0].std() > 5


@pytest.mark.parametrize("coder", residual.CODERS)
def test_with_a_delta_every_pixel_comes_back(coder):
    image = phantom(100)[:, :70]
    codec = HificCodec(coder)
    assert codec.lossless
    assert np.array_equal(codec.decode(codec.encode(image)), image)


@pytest.mark.parametrize("shape", [(1, 1), (17, 40), (64, 64)])
def test_without_a_delta_it_is_small_and_near(shape):
    image = make("smooth", np.dtype("uint8"), shape, np.random.default_rng(0))
    stream = HificCodec().encode(image)
    decoded = HificCodec().decode(stream)
    assert decoded.shape == shape and decoded.dtype == np.uint8
    assert np.mean((decoded.astype(float) - image) ** 2) < 60
    assert len(stream) < len(HificCodec("dct").encode(image))


def test_a_delta_is_coded_after_the_same_latents():
    image = phantom(64)
    codec = HificCodec("dct")
    latents = codec.paint(image)
    _, bare = unpack(HificCodec().encode(image), "hific")
    _, payload = unpack(codec.wrap(image, codec.payload(image, latents)), "hific")
    assert bare[1:] == latents.code == payload[5 : 5 + len(latents.code)]


def test_what_it_cannot_take():
    with pytest.raises(ValueError, match="window it to 8 bits, or use one of"):
        HificCodec().encode(np.zeros((20, 20), np.uint16))
    with pytest.raises(ValueError, match="cut the image into several"):
        HificCodec().encode(np.zeros((2049, 2048), np.uint8))
    with pytest.raises(ValueError, match="coder is one of huffman"):
        HificCodec("zip")


def forged(payload, shape=(64, 64), dtype="uint8"):
    codec = HificCodec()
    header = Header(
        codec="hific",
        dtype=np.dtype(dtype),
        shape=shape,
        bit_depth=8 * np.dtype(dtype).itemsize,
        model=codec.model,
        weights=codec.weights_hash,
        pixel_crc=None,
    )
    return pack(header, payload)


@pytest.mark.parametrize(
    ("payload", "shape", "dtype", "words"),
    [
        (b"\0", (4096, 4096), "uint8", "does not write"),
        (b"\0", (64, 64), "uint16", "does not write"),
        (b"\x63\0\0\0\0", (64, 64), "uint8", "a coder this release does not know"),
        (b"\1\xff\xff\xff\xff", (64, 64), "uint8", "ends inside its latents"),
        (b"\1\0", (64, 64), "uint8", "cannot be decoded"),
        (b"", (64, 64), "uint8", "cannot be decoded"),
    ],
)
def test_forged_payloads_are_refused(payload, shape, dtype, words):
    with pytest.raises(BitstreamError, match=words):
        HificCodec().decode(forged(payload, shape, dtype))


def test_mutated_payloads_raise_or_decode_to_some_picture():
    rng, image = np.random.default_rng(0), phantom(48)
    _, payload = unpack(HificCodec("adaptive").encode(image), "hific")
    refused = 0
    for _ in range(60):
        damaged = bytearray(payload)
        for place in rng.integers(len(damaged), size=2):
            damaged[place] ^= int(rng.integers(1, 256))
        try:
            assert HificCodec().decode(forged(bytes(damaged), image.shape)).shape == image.shape
        except BitstreamError:
            refused += 1
    assert refused > 20


def test_weights_of_another_network_or_base_are_named(weights_here):
    weights.save(
        {"level": np.zeros(1, np.int32)},
        weights_here / "empty.safetensors",
        {"name": "empty", "paper": "none"},
    )
    painted.save(weights_here / "later.safetensors", base=np.zeros(32, np.int32))
    image = phantom(32)
    with pytest.raises(DataError, match="those of another network"):
        HificCodec(model="empty").encode(image)
    with pytest.raises(DataError, match="train them again"):
        HificCodec(model="later").encode(image)
