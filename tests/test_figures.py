import numpy as np
import pandas as pd
import pytest
from matplotlib import colors, pyplot

from helpers import figures, publish
from helpers.figures import style

WORDS = {"caption": "A caption.", "alt": "An alt text."}


@pytest.fixture
def page(monkeypatch):
    """Keep the figures that would have gone on the page."""
    kept = []

    def keep(fig, name, caption, alt, width="100%"):
        fig.canvas.draw()  # as saving would: layout errors show here
        kept.append(fig)
        assert (caption, alt) == tuple(WORDS.values()) and name.startswith("fig-")

    monkeypatch.setattr(publish, "figure", keep)
    yield kept
    pyplot.close("all")


def sweep_table():
    rows = [
        {"codec": codec, "point": point, "bpp": point + 0.01 * i, "psnr": base + 6 * point + i}
        for codec, base in (("jpeg", 28), ("jpeg2000", 31))
        for point in (0.5, 1.0, 2.0)
        for i in (-1, 1)
    ]
    return pd.DataFrame(rows)


def test_a_rate_distortion_figure_shows_means_with_units(page):
    marks = {"the paper": (1.5, 33.0)}
    figures.rate_distortion(sweep_table(), name="fig-rd", marks=marks, **WORDS)
    axes = page[0].axes[0]
    assert axes.get_xlabel() == "rate (bpp)" and axes.get_ylabel() == "PSNR (dB)"
    lines = {line.get_label(): line for line in axes.lines}
    assert {"JPEG", "JPEG 2000"} <= set(lines)
    assert [text.get_text() for text in axes.texts] == ["the paper"]
    assert lines["JPEG"].get_xydata() == pytest.approx(
        np.array([[0.5, 31.0], [1.0, 34.0], [2.0, 40.0]])
    )
    assert axes.lines[-1].get_xydata().tolist() == [[1.5, 33.0]]
    assert lines["JPEG 2000"].get_color() == style.look("jpeg2000")["color"]


def test_a_codec_looks_the_same_under_both_its_names():
    for key, name in (("jpeg2000", "JPEG 2000"), ("cae-brotli", "CAE + Brotli")):
        assert figures.label(key) == figures.label(name) == name
        assert style.look(key) == style.look(name)
    assert figures.label("something new") == "something new"
    assert style.look("something new") == style.look("something new")


def test_no_two_codecs_look_alike():
    looks = [tuple(style.look(key).values()) for key in style._CODECS]
    assert len(set(looks)) == len(looks)
    lossy = ["jpeg", "jpeg2000", "jpegxl", "avif", "wavelet", "spiht", "cae", "cae-brotli"]
    shades = [colors.to_rgb(style.look(key)["color"]) for key in lossy]
    gaps = [np.abs(np.subtract(a, b)).sum() for i, a in enumerate(shades) for b in shades[:i]]
    assert min(gaps) > 0.3


def test_bars_have_their_lengths_intervals_and_numbers(page):
    table = pd.DataFrame(
        {"codec": ["jpeg", "spiht"], "mean": [30.0, 34.0], "low": [29.0, np.nan]}
    ).assign(high=[32.0, np.nan])
    figures.bars(table, x_label="PSNR (dB)", low="low", high="high", name="fig-bars", **WORDS)
    axes = page[0].axes[0]
    assert [bar.get_width() for bar in axes.patches] == [30, 34]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["JPEG", "SPIHT"]
    assert [text.get_text() for text in axes.texts] == ["30.00", "34.00"]
    (segments,) = [c for c in axes.collections if hasattr(c, "get_segments")]
    assert segments.get_segments()[0][:, 0].tolist() == [29, 32]
    assert axes.get_xlim()[0] == 0  # a bar that does not start at zero lies


def test_groups_of_bars_share_a_category(page):
    table = pd.DataFrame(
        {
            "codec": ["jpeg", "jpeg", "spiht"],
            "mean": [1.0, 2.0, 3.0],
            "who": ["paper", "ours", "ours"],
        }
    )
    figures.bars(table, x_label="ratio", group="who", name="fig-groups", **WORDS)
    axes = page[0].axes[0]
    middles = [bar.get_y() + bar.get_height() / 2 for bar in axes.patches]
    assert middles == pytest.approx([-0.2, 0.2, 1.2])


def test_lines_leave_missing_points_out(page):
    history = pd.DataFrame({"epoch": [1, 2, 3], "train": [3.0, 2.0, 1.0], "test": [3.0, np.nan, 2]})
    figures.training_curve(history, y_label="loss (nats)", name="fig-train", **WORDS)
    axes = page[0].axes[0]
    assert [len(line.get_xdata()) for line in axes.lines] == [3, 2]
    assert axes.get_xlabel() == "epoch" and axes.get_ylabel() == "loss (nats)"


def test_a_histogram_counts_every_sample_once(page):
    samples = {"a": np.arange(10.0), "b": np.full((2, 5), 4.5)}
    figures.histogram(samples, x_label="value (1)", bins=5, name="fig-hist", **WORDS)
    stairs = [patch for patch in page[0].axes[0].patches if patch.get_label() in samples]
    assert len(stairs) == 2
    assert all(patch.get_data().values.sum() == pytest.approx(1) for patch in stairs)


def test_images_keep_their_grey_levels_and_their_pixels(page):
    small, large = np.full((8, 8), 100, np.uint8), np.zeros((2000, 2000), np.uint8)
    figures.image_grid([small, large], ["small", "large"], peak=200, name="fig-grid", **WORDS)
    pictures = [axes.images[0] for axes in page[0].axes]
    assert all(picture.get_clim() == (0, 200) for picture in pictures)
    assert np.array_equal(pictures[0].get_array(), small)
    assert [picture.get_interpolation() for picture in pictures] == ["nearest", "hanning"]


def test_differences_share_one_scale(page):
    image = np.full((20, 20), 50, np.uint8)
    worse = image.copy()
    worse[3, 4] = 10
    rows = [("exact", image, image), ("worse", image, worse)]
    figures.comparison(rows, peak=255, name="fig-comparison", **WORDS)
    errors = [axes.images[0] for axes in page[0].axes if axes.get_title() == "|difference|"]
    assert len(errors) == 2
    assert {error.get_clim() for error in errors} == {(0, 40)}
    assert errors[1].get_array()[3, 4] == 40
    crop = (slice(0, 5), slice(0, 6))
    figures.comparison(rows, peak=255, crop=crop, name="fig-comparison", **WORDS)
    assert page[1].axes[0].images[0].get_array().shape == (5, 6)


def test_a_diagram_has_its_words_and_an_arrow_between_all_neighbours(page):
    blocks = [figures.Block(text, "detail", "code") for text in "abcde"]
    figures.block_diagram([blocks[:3], blocks[3:]], name="fig-blocks", **WORDS)
    axes = page[0].axes[0]
    assert {text.get_text() for text in axes.texts} == {*"abcde", "detail"}
    arrows = [patch for patch in axes.patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(arrows) == 4


def test_bad_figures_are_refused():
    with pytest.raises(ValueError, match="one title an image"):
        figures.image_grid([np.zeros((2, 2))], [], peak=1, name="fig-x", **WORDS)
    with pytest.raises(ValueError, match="not 'magic'"):
        block = figures.Block("x", kind="magic")
        figures.block_diagram([[block]], name="fig-x", **WORDS)
    with pytest.raises(ValueError, match="'two transposed convolutions' is too wide"):
        block = figures.Block("two transposed convolutions")
        figures.block_diagram([[block, block]], name="fig-x", **WORDS)


def test_training_panels_have_a_scale_each(page):
    one = pd.DataFrame({"epoch": [1, 2], "training": [0.5, 0.4], "held out": [0.6, np.nan]})
    histories = {"dense": one[["epoch", "training"]], "CNN": one * 100, "second": one}
    units = dict.fromkeys(histories, "loss")
    figures.training_panels(histories, y_labels=units, name="fig-panels", **WORDS)
    axes = page[0].axes
    assert [panel.get_title() for panel in axes[:3]] == list(histories)
    assert not axes[3].axison  # the fourth place stays empty
    assert [line.get_label() for line in axes[0].lines] == ["training"]
    assert [line.get_label() for line in axes[1].lines] == ["training", "held out"]
    assert [text.get_text() for text in page[0].legends[0].texts] == ["training", "held out"]
    assert len(axes[1].lines[1].get_xdata()) == 1  # what was not measured is not drawn
    assert axes[1].get_ylim()[0] > axes[0].get_ylim()[1]
    assert all(panel.get_xlabel() == "epoch" for panel in axes[:3])


def test_number_grids_write_every_value_in_a_readable_colour(page):
    signed = np.array([[-900.4, 3.0], [0.0, 900.0]])
    figures.number_grids(
        {"grey": np.array([[0, 200], [90, 10]]), "signed": signed}, name="fig-numbers", **WORDS
    )
    grey, coloured = page[0].axes
    assert [text.get_text() for text in grey.texts] == ["0", "200", "90", "10"]
    assert [text.get_color() for text in grey.texts] == ["white", "black", "white", "white"]
    assert [text.get_text() for text in coloured.texts] == ["−900", "3", "0", "900"]
    assert [text.get_color() for text in coloured.texts] == ["white", "black", "black", "white"]
    assert coloured.get_title() == "signed"


def test_number_grids_need_an_array(page):
    with pytest.raises(ValueError, match="at least one array"):
        figures.number_grids({}, name="fig-numbers", **WORDS)
