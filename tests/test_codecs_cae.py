"""The auto-encoder codec: its pictures, its streams, and what it refuses."""

import time
import tracemalloc
import warnings

import brotli
import numpy as np
import pytest
import torch
from codec_images import images, make, phantom
from hypothesis import HealthCheck, given, settings

from helpers import codecs, weights
from helpers.codecs.cae import MAX_PIXELS, CaeCodec
from helpers.codecs.container import Header, pack, unpack
from helpers.codecs.streams import unwrap
from helpers.errors import BitstreamError
from helpers.models.cae import ConvAutoencoder

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONFIGS = [
    {"latent": "float32", "coder": "none"},
    {"latent": "float32", "coder": "brotli"},
    *(
        {"latent": "uint8", "coder": coder, "scale": scale}
        for coder in ("none", "brotli", "range")
        for scale in ("tensor", "channel")
    ),
]


def name_of(config):
    return "-".join(config.values())


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    """Return a function that saves a freshly drawn network under a name."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))

    def save(name, seed):
        torch.manual_seed(seed)
        weights.save(ConvAutoencoder().state_dict(), tmp_path / f"{name}.safetensors", {})

    return save


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_every_image_comes_back_in_its_shape(config):
    codec = CaeCodec(**config)

    @QUICK
    @given(images(("uint8", "uint16", "int16")))
    def check(image):
        stream = codec.encode(image)
        header, payload = unpack(stream)
        assert (header.shape, header.dtype) == (image.shape, image.dtype)
        assert (header.codec, header.model) == ("cae", "cae-mri")
        assert header.weights == weights.sha256("cae-mri")[:4]
        assert stream == pack(header, payload)
        decoded = codec.decode(stream)
        assert decoded.shape == image.shape and decoded.dtype == image.dtype
        assert np.array_equal(decoded, codecs.get("cae").decode(stream))  # streams say all
        if image.dtype != np.uint8:
            assert image.min() <= decoded.min() and decoded.max() <= image.max()

    check()


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_configuration_shows_the_same_picture(config, dtype):
    image = phantom(160, dtype)
    decoded = CaeCodec(**config).decode(CaeCodec(**config).encode(image))
    plain = codecs.get("cae").decode(codecs.get("cae").encode(image))
    peak = np.iinfo(dtype).max
    difference = (decoded / peak - plain / peak).std()
    assert difference < 0.01  # 8 bits for a latent value are nearly as good as 32
    assert (difference == 0) == (config["latent"] == "float32")
    assert np.corrcoef(decoded.ravel(), image.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
@pytest.mark.parametrize("value", ["min", "max"])
def test_a_constant_image_with_a_window_is_exact(dtype, value):
    image = np.full((40, 70), getattr(np.iinfo(dtype), value), dtype)
    assert np.array_equal(CaeCodec().decode(CaeCodec().encode(image)), image)


def test_the_pipeline_is_the_papers():
    """Codec against the network called by hand, equations 2 and 3 written out."""
    image = phantom(96)
    model = ConvAutoencoder()
    model.load_state_dict(weights.load("cae-mri"))
    with torch.inference_mode():
        z = model.encoder(torch.from_numpy(image / np.float32(255))[None, None])
        q = torch.round(255 * (z - z.min()) / (z.max() - z.min()))
        unit = torch.sigmoid(model.decoder(z.min() + q * (z.max() - z.min()) / 255))
    by_hand = np.rint(255 * unit[0, 0].numpy()).astype(int)
    decoded = CaeCodec().decode(CaeCodec().encode(image))
    assert np.abs(decoded - by_hand).max() <= 1  # the order of additions may differ
    assert (decoded == by_hand).mean() > 0.99


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_odd_sides_are_padded_with_their_edge(dtype):
    image = phantom(70, dtype)[:33, 5:68]
    padded = np.pad(image, ((0, 31), (0, 1)), mode="edge")
    assert padded.shape == (64, 64)
    assert np.array_equal(CaeCodec().analyse(image), CaeCodec().analyse(padded))
    decoded = CaeCodec().decode(CaeCodec().encode(padded))
    assert np.array_equal(CaeCodec().decode(CaeCodec().encode(image)), decoded[:33, :63])


def test_streams_have_the_sizes_that_their_fields_add_up_to():
    image, latent = phantom(64), 2 * 2 * 512
    sizes = {name_of(c): len(unpack(CaeCodec(**c).encode(image))[1]) for c in CONFIGS}
    assert sizes["float32-none"] == 1 + 4 * latent
    assert sizes["uint8-none-tensor"] == 1 + 8 + latent
    assert sizes["uint8-none-channel"] == 1 + 8 * 512 + latent
    assert sizes["uint8-brotli-tensor"] < sizes["uint8-none-tensor"]
    assert sizes["uint8-range-tensor"] < sizes["uint8-none-tensor"]
    wide = CaeCodec(coder="none").encode(phantom(64, np.uint16))
    assert len(unpack(wide)[1]) == 1 + 8 + 8 + latent  # the window


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_a_config_builds_the_same_codec(config):
    codec = CaeCodec(**config)
    twin = CaeCodec.from_config({k: v for k, v in codec.get_config().items() if k != "id"})
    assert codec.get_config()["id"] == "cae"
    assert twin.get_config() == codec.get_config()
    assert twin.encode(phantom(32)) == codec.encode(phantom(32))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"latent": "int4"}, "latent is"),
        ({"scale": "pixel"}, "scale is"),
        ({"coder": "zip"}, "one of none, brotli, range, not 'zip'"),
        ({"latent": "float32", "coder": "range"}, "has no levels"),
        ({"latent": "float32", "scale": "channel"}, "has no levels"),
    ],
)
def test_impossible_options_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        CaeCodec(**options)


def test_streams_of_other_weights_are_refused_by_name(own_weights):
    image, shipped = phantom(32), weights.sha256("cae-mri")[:4].hex()
    stream = CaeCodec().encode(image)
    own_weights("other", 1)
    with pytest.raises(BitstreamError, match=f"weights cae-mri {shipped}, this codec holds other"):
        CaeCodec("other").decode(stream)
    own_weights("cae-mri", 2)  # the same name, another network
    with pytest.raises(BitstreamError, match=f"cae-mri {shipped}, this codec holds cae-mri"):
        CaeCodec().decode(stream)
    with pytest.raises(BitstreamError, match=shipped):
        unwrap(stream)


def test_weights_that_change_are_loaded_anew(own_weights):
    image, latents = phantom(32), []
    for seed in (3, 4):
        own_weights("own", seed)
        latents.append(CaeCodec("own").analyse(image))
        torch.manual_seed(seed)
        model = ConvAutoencoder()
        with torch.inference_mode():
            right = model.encoder(torch.from_numpy(image / np.float32(255))[None, None])[0]
        assert np.allclose(latents[-1], right.permute(1, 2, 0), atol=2e-5)  # float16 weights
    assert not np.allclose(latents[0], latents[1], atol=2e-4)


@pytest.mark.parametrize("shape", [(4097, 4096), (1, MAX_PIXELS // 32 + 32)])
def test_an_image_too_large_for_the_network_is_refused(shape):
    """The second has few pixels, but padding its rows to 32 makes them many."""
    with pytest.raises(ValueError, match=f"at most {MAX_PIXELS} pixels.*cut it into tiles"):
        CaeCodec().encode(np.zeros(shape, np.uint8))
    forged = pack(_header(shape), _payload(1, brotli.compress(bytes(1000))))
    with pytest.raises(BitstreamError, match=f"more than {MAX_PIXELS} pixels"):
        CaeCodec().decode(forged)


def test_a_brotli_bomb_is_stopped_early():
    bomb = brotli.compress(bytes(2**28), quality=5)
    assert len(bomb) < 1000
    for flags, side in ((5, np.array([0, 1], "<f4").tobytes()), (4, b"")):
        started = time.monotonic()
        tracemalloc.start()
        with pytest.raises(BitstreamError, match="instead of"):
            CaeCodec().decode(pack(_header((32, 32)), bytes([flags]) + side + bomb))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1e6
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("flags", "rest", "reason"),
    [
        (0, np.full(512, np.nan, "<f4"), "not finite"),
        (0, np.where(np.arange(512) % 2, 3e38, -3e38).astype("<f4"), "overflows"),
        (0, np.zeros(511, "<f4"), "2044 bytes instead of 2048"),
        (1, np.array([np.nan, 1], "<f4"), "not finite"),
        (1, np.array([-3e38, 3e38], "<f4"), "not finite"),
        (4, np.frombuffer(b"nonsense", np.uint8), "cannot be decoded"),
        (9, np.zeros(2, "<f4"), "table of counts"),
        (13, np.zeros(2, "<f4"), "cannot be decoded"),
        (3, np.zeros(100, "<f4"), "cannot be decoded"),
        (16, np.zeros(1, "<i4"), "cannot be decoded"),
    ],
)
def test_forged_fields_are_refused(flags, rest, reason):
    payload = bytes([flags]) + rest.tobytes() + bytes(512 if flags == 1 else 0)
    with warnings.catch_warnings(record=True) as noise:
        warnings.simplefilter("always")
        with pytest.raises(BitstreamError, match=reason):
            CaeCodec().decode(pack(_header((32, 32)), payload))
    assert not noise  # one clear error, no warnings of arithmetic before it


def test_an_empty_payload_is_refused():
    with pytest.raises(BitstreamError, match="cannot be decoded"):
        CaeCodec().decode(pack(_header((32, 32)), b""))


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_forged_windows_and_scales_give_the_announced_image(config):
    """Whatever the side information claims, pixels stay within their type."""
    codec, rng = CaeCodec(**config), np.random.default_rng(0)
    header, payload = unpack(codec.encode(make("smooth", np.dtype("int16"), (33, 40), rng)))
    decoded, side = 0, 8 if config["latent"] == "float32" else 16
    for _ in range(60):
        body = bytearray(payload)
        body[1 : 1 + side] = rng.bytes(side)
        try:
            image = codec.decode(pack(header, bytes(body)))
        except BitstreamError:
            continue
        assert image.shape == (33, 40) and image.dtype == np.int16
        decoded += 1
    assert decoded > 6


def _header(shape):
    hashed = weights.sha256("cae-mri")[:4]
    return Header("cae", np.dtype("uint8"), shape, 8, model="cae-mri", weights=hashed)


def _payload(flags, data):
    return bytes([flags]) + np.array([0, 1], "<f4").tobytes() + data
