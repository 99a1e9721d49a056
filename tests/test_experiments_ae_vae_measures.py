"""What is measured of the auto-encoders of mammograms: each number against one made by hand."""

import math

import numpy as np
import pytest
from codec_images import phantom
from numcodecs.abc import Codec

from helpers import codecs, measure, weights
from helpers.codecs.ae import LatentCodec
from helpers.data import ImageSet
from helpers.errors import BitstreamError
from helpers.experiments.ae_vae import components as linear
from helpers.experiments.ae_vae import measurements as m
from helpers.keras_setup import keras
from helpers.models import ae, halves

SIDE = 16
LATENT = 3


def films(count, side=SIDE, start=0):
    """Films that differ in more than noise: each phantom is turned and shaded its own way."""
    made = []
    for seed in range(start, start + count):
        shade = np.linspace(0.4 + 0.1 * (seed % 5), 1, side)
        made.append((np.rot90(phantom(side, seed=seed), seed) * shade).astype(np.uint8))
    return ImageSet(
        name="mammography",
        source="made",
        images=tuple(np.ascontiguousarray(image) for image in made),
        ids=tuple(f"film{i}" for i in range(start, start + count)),
        patients=tuple(f"woman{i // 2}" for i in range(start, start + count)),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="none",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of small, untrained networks: ``tiny-ae`` and ``tiny-vae``."""
    folder = tmp_path_factory.mktemp("weights")
    for name, variational in (("tiny-ae", False), ("tiny-vae", True)):
        keras.utils.set_random_seed(3)
        network = ae.build(SIDE, variational=variational, latent=LATENT)
        weights.save(halves.state(network), folder / f"{name}.safetensors", {"name": name})
    return folder


@pytest.fixture
def tiny(folder, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(folder))
    return {"AE": "tiny-ae", "VAE": "tiny-vae"}


class Identity(Codec):
    codec_id = "identity"

    def encode(self, buf):
        self.shape = buf.shape
        return buf.tobytes()

    def decode(self, buf, out=None):
        return np.frombuffer(buf, np.uint8).reshape(self.shape)


class Always(Identity):
    """Draws one and the same film, as a network does that has learnt it by heart."""

    codec_id = "always"

    def __init__(self, film):
        self.film = film

    def decode(self, buf, out=None):
        return self.film


def test_every_network_and_latent_has_its_rows(tiny):
    images = films(2)
    table = m.ours(images, tiny, metrics=("psnr",))
    assert table.groupby(["codec", "latent"], sort=False).size().to_dict() == {
        (label, latent): 2 for label in tiny for latent in m.LATENTS
    }
    size = table.groupby("latent")["bytes"].first()
    assert size["float32"] - size["float16"] == 2 * LATENT
    assert size["float16"] - size["int8"] == LATENT - 1  # and a byte for the exponent
    alone = measure.evaluate(LatentCodec("tiny-vae"), images, name="x", metrics=("psnr",))
    rows = table.query("codec == 'VAE' and latent == 'float32'")
    assert rows["mse"].tolist() == alone["mse"].tolist()
    assert table["psnr"].notna().all() and table["ssim"].isna().all()


def test_jpeg_has_the_quality_of_the_paper():
    images = films(2, side=64)
    table = m.jpeg(images, ("psnr",))
    assert table["codec"].unique().tolist() == ["jpeg"]
    sizes = [len(codecs.get("jpeg", level=85).encode(image)) for image in images]
    assert table["bytes"].tolist() == sizes


def test_the_efficiency_is_that_of_the_equation():
    assert m.efficiency(0.5, 1024, 2) == pytest.approx(0.2)
    assert m.efficiency([0.5, 0.01], [100, 100], 10) == pytest.approx([1, 50])


def test_no_base_changes_a_comparison_by_efficiency():
    rng = np.random.default_rng(0)
    mse, bits = rng.uniform(1e-4, 1e-1, 50), rng.integers(2, 10**7, 50)
    by_base = [m.efficiency(mse, bits, base) for base in (2, math.e, 10, 1e6)]
    for values in by_base[1:]:
        assert values.argsort().tolist() == by_base[0].argsort().tolist()
        assert np.ptp(values / by_base[0]) < 1e-9 * values[0] / by_base[0][0]


@pytest.mark.parametrize(
    "wrong",
    [(0, 512, 2), (-1, 512, 2), (0.1, 1, 2), (0.1, 512, 1), ([0.1, math.nan], 512, 2)],
)
def test_an_efficiency_without_meaning_is_refused(wrong):
    with pytest.raises(ValueError, match="base above 1, sizes above 1 bit and errors above 0"):
        m.efficiency(*wrong)


def test_break_even_by_hand():
    assert m.break_even(95, 10, 20) == 10  # 195 against 200 bytes; 9 images: 185 against 180
    assert m.break_even(100, 10, 20) == 11  # ten images come out even, which is not smaller
    assert m.break_even(0, 10, 20) == 1
    assert m.break_even(1, 20, 20) == m.break_even(0, 21, 20) == math.inf
    for stored, mine, theirs in ((8.7e6, 92.5, 20_311.3), (1, 0.25, 0.5)):
        count = m.break_even(stored, mine, theirs)
        assert stored + count * mine < count * theirs
        assert stored + (count - 1) * mine >= (count - 1) * theirs


def test_what_comes_back_exactly_is_its_own_nearest_film():
    training = films(6)
    table = m.nearest(Identity(), training, training)
    assert table["nearest_id"].tolist() == list(training.ids)
    assert table["nearest_is_own"].all()
    assert (table[["mse_own", "mse_nearest"]] == 0).all(axis=None)
    other = films(2, start=6)
    table = m.nearest(Identity(), other, training)
    assert table["patient_id"].tolist() == ["woman3", "woman3"]
    assert not table["nearest_is_own"].any() and (table["mse_own"] == 0).all()
    for row, image in zip(table.itertuples(), other, strict=True):
        errors = [np.mean((image.astype(float) - film) ** 2) for film in training]
        assert row.mse_nearest == pytest.approx(min(errors), rel=1e-12)
        assert row.nearest_id == training.ids[int(np.argmin(errors))]


def test_a_film_learnt_by_heart_is_found():
    training, other = films(5), films(2, start=5)
    table = m.nearest(Always(training.images[3]), other, training)
    assert table["nearest_id"].tolist() == ["film3", "film3"]
    assert (table["mse_nearest"] == 0).all() and (table["mse_own"] > 100).all()
    own = m.nearest(Always(training.images[3]), training, training)
    assert own["nearest_is_own"].tolist() == [False, False, False, True, False]


def test_distances_are_exact_over_several_blocks():
    rng = np.random.default_rng(1)
    ours, others = rng.integers(0, 256, (2, 3, 150, 150), np.uint8)
    assert ours[0].size > m._BLOCK
    assert (m._distances(ours, ours).diagonal() == 0).all()
    assert m._distances(ours, others)[1, 2] == np.mean((ours[1].astype(float) - others[2]) ** 2)


def test_films_of_several_sizes_have_no_nearest():
    with pytest.raises(ValueError, match="resize them to one size"):
        m.nearest(Identity(), films(2), films(2, side=24))


def with_encoder(folder, name, means, log_variances):
    """Weights of a VAE whose encoder says the same about every film, but for dimension 0."""
    network = ae.build(SIDE, variational=True, latent=len(means))
    values = halves.state(network)
    for part, biases in (("mean", means), ("log_variance", log_variances)):
        values[f"encoder/{part}/kernel"] = np.zeros_like(values[f"encoder/{part}/kernel"])
        values[f"encoder/{part}/bias"] = np.float32(biases)
    values["encoder/mean/kernel"][:, 0] = 20
    weights.save(values, folder / f"{name}.safetensors", {"name": name})


def test_collapsed_dimensions_carry_no_bits(folder, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(folder))
    with_encoder(folder, "collapsed", (0, 0, 2), (-4, 0, 0))
    images = films(8)
    table = m.divergences("collapsed", images)
    assert table["dimension"].tolist() == [0, 1, 2]
    means = LatentCodec("collapsed").analyse(images.stack())[:, 0].astype(np.float64)
    assert table["variance"][0] == pytest.approx(means.var(), rel=1e-3)
    assert table["variance"][1:].tolist() == pytest.approx([0, 0], abs=1e-9)
    first = np.mean(means**2 + math.exp(-4) + 4 - 1) / 2 / math.log(2)
    assert table["bits"].tolist() == pytest.approx([first, 0, 2 / math.log(2)], rel=1e-3, abs=1e-6)
    assert means.var() > 0.01
    assert table["active"].tolist() == [True, False, False]


def test_only_a_variational_network_has_divergences(tiny):
    with pytest.raises(ValueError, match="'tiny-ae' is no variational auto-encoder"):
        m.divergences(tiny["AE"], films(2))
    with pytest.raises(ValueError, match="knows films of 16 x 16"):
        m.divergences(tiny["VAE"], films(2, side=32))


def test_a_traversal_moves_one_number(tiny):
    codec = LatentCodec(tiny["AE"])
    start = codec.analyse(films(1).stack())[0]
    kept = start.copy()
    drawn = m.traversal(codec, start, 1, (-50, start[1], 50))
    assert drawn.shape == (3, SIDE, SIDE) and drawn.dtype == np.uint8
    assert (start == kept).all()
    assert np.abs(drawn[1].astype(int) - np.rint(255 * codec.synthesise(start[None])[0])).max() <= 1
    assert (drawn[0] != drawn[2]).any()
    moved = start.copy()
    moved[1] = 50
    alone = np.rint(255 * codec.synthesise(moved[None])[0])
    assert np.abs(drawn[2].astype(int) - alone).max() <= 1  # batches differ in the last bits


def test_enough_components_give_every_training_film_back():
    training = films(7, side=24)
    mean, components = linear.fit_components(training.stack(), 6)  # seven films span six directions
    assert mean.shape == (24, 24) and components.shape == (6, 24, 24)
    assert mean.dtype == components.dtype == np.float32
    table = linear.components_rows(training, mean, components, ("psnr",))
    assert (table["max_error"] <= 1).all() and (table["mse"] < 0.01).all()
    held_out = linear.components_rows(films(2, side=24, start=7), mean, components, ("psnr",))
    assert (held_out["max_error"] > 1).all()


def test_no_linear_code_of_that_length_beats_the_components():
    stack = films(12).stack()
    mean, components = linear.fit_components(stack, 4)
    flat = components.reshape(4, -1).astype(np.float64)
    assert flat @ flat.T == pytest.approx(np.eye(4), abs=1e-6)
    centred = stack.reshape(12, -1) / 255 - mean.ravel()
    lost = np.sum((centred - centred @ flat.T @ flat) ** 2)
    singular = np.linalg.svd(centred, compute_uv=False)
    assert lost == pytest.approx(np.sum(singular[4:] ** 2), rel=1e-4)
    along = ((centred @ flat.T) ** 2).sum(axis=0)
    assert along == pytest.approx(singular[:4] ** 2, rel=1e-3)  # the largest variance first


def test_components_are_coded_like_everything_else():
    training = films(6)
    fitted = linear.fit_components(training.stack(), 5)
    codec = linear.ComponentsCodec(*fitted)
    stream = codec.encode(training.images[0])
    table = linear.components_rows(training, *fitted, ("psnr",))
    assert set(table["bytes"]) == {len(stream)}
    assert table[["codec", "latent"]].drop_duplicates().values.tolist() == [["PCA", "float32"]]
    header = 4 + 1 + len(codec.codec_id) + 2 + 1 + 1 + 1 + len(codec.model) + 4 + 1
    assert len(stream) == header + 4 * 5 + 4  # and the checksum
    other = linear.ComponentsCodec(*linear.fit_components(films(6, start=1).stack(), 5))
    with pytest.raises(BitstreamError, match="made with the weights"):
        other.decode(stream)
    with pytest.raises(BitstreamError, match="truncated or altered"):
        codec.decode(stream[:-9])
    for image in (phantom(24), training.images[0].astype(np.uint16)):
        with pytest.raises(ValueError, match="prepare it as they were"):
            codec.encode(image)
    for forged in (np.nan, np.inf):
        wrapped = codec.wrap(training.images[0], np.full(5, forged, "<f4").tobytes())
        with pytest.raises(BitstreamError, match="not finite"):
            codec.decode(wrapped)
    with pytest.raises(BitstreamError, match="cannot be decoded"):
        codec.decode(codec.wrap(training.images[0], bytes(16)))
    with pytest.raises(BitstreamError, match=r"no 8-bit film of \(16, 16\)"):
        codec.decode(codec.wrap(phantom(24), bytes(20)))


def test_more_components_than_films_are_refused():
    for count in (0, 4):
        with pytest.raises(ValueError, match="3 films have 1 to 3 components"):
            linear.fit_components(films(3).stack(), count)
