"""Block diagrams: what goes into what, in boxes and arrows."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text

from helpers import publish
from helpers.figures import style

_FILL = {"data": "#ffffff", "layer": "#dcebf7", "code": "#fdeccd", "bytes": "#e3e3e3"}
_ROOM = 0.96  # of a box's width, for words
_CENTRED = {"ha": "center", "va": "center"}
_BOX, _GAP, _HIGH, _LANE = 1.0, 0.28, 0.62, 0.42  # sizes of box, gap and lane between rows


@dataclass(frozen=True)
class Block:
    """One box of a diagram.

    Parameters
    ----------
    title : str
        What it is, in a word or two.
    detail : str
        Shapes or settings, in small letters below.
    kind : {"data", "layer", "code", "bytes"}
        Its colour: images, network layers, coding steps, streams.
    """

    title: str
    detail: str = ""
    kind: str = "layer"


def block_diagram(
    rows: Sequence[Sequence[Block]],
    *,
    name: str,
    caption: str,
    alt: str,
    width: str = "100%",
) -> None:
    """Boxes joined by arrows, row after row, each read from left to right.

    Parameters
    ----------
    rows : sequence of sequences of Block
        At most four blocks a row stay readable on a phone; the last block of a row leads to
        the first of the next.
    name, caption, alt, width : str
        See `helpers.publish.figure`.

    Raises
    ------
    ValueError
        If a block is of an unknown kind, or its words do not fit into its box.
    """
    for block in (block for row in rows for block in row):
        if block.kind not in _FILL:
            raise ValueError(f"A block is one of {list(_FILL)}, not '{block.kind}'.")
    longest = max(len(row) for row in rows)
    across = longest * _BOX + (longest - 1) * _GAP
    down = len(rows) * _HIGH + (len(rows) - 1) * _LANE
    figure, [[axes]] = style.new(width=1.6 * across, height=1.6 * down)
    axes.set(xlim=(-0.05, across + 0.05), ylim=(down + 0.05, -0.05), aspect="equal")
    axes.axis("off")
    boxes = []
    for number, row in enumerate(rows):
        top = number * (_HIGH + _LANE)
        for position, block in enumerate(row):
            left = position * (_BOX + _GAP)
            boxes.append(_box(axes, left, top, block))
            if position:
                middle = top + _HIGH / 2
                _arrow(axes, [(left - _GAP, middle), (left, middle)])
        if number + 1 < len(rows):
            end, lane = (len(row) - 1) * (_BOX + _GAP) + _BOX / 2, top + _HIGH + _LANE / 2
            start_below = (_BOX / 2, top + _HIGH + _LANE)
            _arrow(axes, [(end, top + _HIGH), (end, lane), (_BOX / 2, lane), start_below])
    figure.draw_without_rendering()  # before it nobody knows how wide words and boxes will be
    for box, words in boxes:
        for text in words:
            if text.get_window_extent().width > _ROOM * box.get_window_extent().width:
                raise ValueError(
                    f"'{text.get_text()}' is too wide for a block; say it in fewer letters."
                )
    publish.figure(figure, name, caption, alt, width)


def _box(axes, left: float, top: float, block: Block) -> tuple[FancyBboxPatch, list[Text]]:
    """Draw one block; return its box and the words in it."""
    box = axes.add_patch(
        FancyBboxPatch(
            (left, top),
            _BOX,
            _HIGH,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=_FILL[block.kind],
            edgecolor="#444444",
            linewidth=1.2,
        )
    )
    lift = 0.13 if block.detail else 0.0
    centre = (left + _BOX / 2, top + _HIGH / 2)
    words = [
        axes.text(centre[0], centre[1] - lift, block.title, fontsize=12, **_CENTRED),
        axes.text(centre[0], centre[1] + 0.12, block.detail, fontsize=10, color="#444", **_CENTRED),
    ]
    return box, words


def _arrow(axes, corners: list[tuple[float, float]]) -> None:
    *bends, last = corners
    if len(bends) > 1:
        axes.plot(*zip(*bends, strict=True), color="#444444", linewidth=1.4, solid_capstyle="butt")
    axes.add_patch(
        FancyArrowPatch(
            bends[-1],
            last,
            arrowstyle="-|>",
            mutation_scale=12,
            shrinkA=0,
            shrinkB=1,
            color="#444444",
            linewidth=1.4,
        )
    )
