"""What the diffusion chapter measures: the same bytes for all, and the fates of lesions."""

from dataclasses import replace

import numpy as np
import pytest
from codec_images import phantom

from helpers import upscalers
from helpers.codecs.shrink import ShrinkCodec
from helpers.data import ImageSet
from helpers.experiments.ldm_mammo import measurements as m
from helpers.experiments.ldm_mammo.lesions import ABSENT, MASS, PRESENT, Lesion, insert

pytestmark = pytest.mark.usefixtures("one_thread")
PIXEL_MM = 0.2
LESIONS = {f"i{k}": Lesion(MASS, 32, 32, 12, 0.2 * (k < 2), seed=k) for k in range(4)}


def image_set(images, labels=("",) * 4):
    return ImageSet(
        name="mammography",
        source="made",
        images=tuple(images),
        ids=tuple(LESIONS),
        patients=("a", "a", "b", "b"),
        labels=tuple(labels),
        bit_depth=8,
        licence="none",
        citation="none",
    )


@pytest.fixture
def films():
    return image_set(phantom(64, seed=k) // 2 + 40 for k in range(4))


def test_all_upscalers_get_the_same_files(films):
    models = {m.DIFFUSION: "lanczos", "bicubic": "bicubic"}
    table = m.quality(films, models, metrics=("psnr",))
    assert table.groupby("factor").size().to_dict() == {2: 8, 4: 8}
    for (factor, codec), part in table.groupby(["factor", "codec"]):
        for row, film in zip(part.itertuples(), films, strict=True):
            assert row.bytes == len(ShrinkCodec(factor, models[codec]).encode(film))
    means = m.spread(table, ("psnr",))
    half = table[(table["factor"] == 2) & (table["codec"] == "bicubic")]["psnr"]
    assert means.loc[(2, "bicubic"), ("psnr", "var")] == pytest.approx(half.var())
    assert (means["psnr"]["mean"][2] > means["psnr"]["mean"][4]).all()


def test_standards_keep_the_budget(films):
    table = m.quality(films, {m.DIFFUSION: "bicubic"}, (2,), ("psnr",))
    found = m.standards(films, table, ("psnr",))
    assert set(found["codec"]) == set(m.FAMILIES[8]) and (found["factor"] == 2).all()
    budget = table.set_index("image_id")["bytes"]
    assert (found["bytes"] <= found["image_id"].map(budget)).all()
    deep = replace(
        films, images=tuple(257 * film.astype(np.uint16) for film in films), bit_depth=16
    )
    found = m.standards(deep, m.quality(deep, {m.DIFFUSION: "bicubic"}, (2,), ("psnr",)), ("psnr",))
    assert set(found["codec"]) == set(m.FAMILIES[16])


def test_the_labels_name_what_runs():
    found = upscalers.get("bicubic")
    assert m.models(found) == {m.DIFFUSION: "bicubic", **m.RIVALS}


def test_restored_images_are_those_of_the_codec(films):
    codec = ShrinkCodec(4)
    again = m.restored(films, codec)
    assert again.ids == films.ids
    np.testing.assert_array_equal(again.images[2], codec.decode(codec.encode(films.images[2])))


@pytest.fixture
def tissue():
    """Smooth tissue: two patches with a mass, two without."""
    row, column = np.mgrid[:64, :64]
    plain = [(100 + row / 4 + column / 8 + k).astype(np.uint8) for k in range(4)]
    marked = [
        insert(patch, lesion, PIXEL_MM)
        for patch, lesion in zip(plain, LESIONS.values(), strict=True)
    ]
    return image_set(plain), image_set(marked, [PRESENT, PRESENT, ABSENT, ABSENT])


def test_lesions_that_survive_are_neither_erased_nor_invented(tissue):
    _, marked = tissue
    (row,) = m.rates(m.fates(marked, marked, LESIONS, PIXEL_MM)).to_dict("records")
    assert row == {
        "kind": MASS, "erased": 0, "seen": 2, "invented": 0, "clear": 2, "survived": 1
    }  # fmt: skip


def test_erased_and_invented_lesions_are_counted(tissue):
    plain, marked = tissue
    ghost = insert(plain.images[3], replace(LESIONS["i3"], contrast=0.2), PIXEL_MM)
    images = (plain.images[0], marked.images[1], plain.images[2], ghost)
    table = m.fates(marked, replace(marked, images=images), LESIONS, PIXEL_MM)
    assert table["called_before"].tolist() == [True, True, False, False]
    assert table["called_after"].tolist() == [False, True, False, True]
    (row,) = m.rates(table).to_dict("records")
    assert (row["erased"], row["invented"]) == (0.5, 0.5)
    assert row["survived"] == pytest.approx(0.5, abs=0.05)


def test_the_extremes_are_the_worst_of_either_kind(tissue):
    plain, marked = tissue
    ghost = insert(plain.images[3], replace(LESIONS["i3"], contrast=0.2), PIXEL_MM)
    images = (plain.images[0], marked.images[1], plain.images[2], ghost)
    table = m.fates(marked, replace(marked, images=images), LESIONS, PIXEL_MM)
    assert m.extremes(table) == ("i0", "i3")
    with pytest.raises(ValueError, match="No lesion of these patches was seen"):
        m.extremes(table.assign(called_before=False))


def test_other_images_are_refused(tissue):
    plain, marked = tissue
    with pytest.raises(ValueError, match="not those that were coded"):
        m.fates(marked, plain.take([0, 1]), LESIONS, PIXEL_MM)
