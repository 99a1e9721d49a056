"""What stands in the files of the JPEG family: marker segments, and streams cut in layers.

A JPEG file and a JPEG 2000 codestream are built alike: two bytes that say *start*, then
segments of a marker (two bytes, the first 0xFF), a length (two bytes, itself included) and a
body, and at last the coded image. All that a decoder must know before the first pixel is in
the segments, so they can be read without decoding anything.

A JPEG 2000 stream may hold its image in quality *layers*, each a refinement of those before.
`cut_layers` keeps the first few: what is left is a valid stream, made without decoding.

Taught in *How classical codecs work*.
"""

import io
import itertools
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from helpers.codecs.container import check_image
from helpers.errors import BitstreamError

_JPEG, _JPEG2000 = b"\xff\xd8", b"\xff\x4f"  # the first two bytes
_DQT, _SOS = 0xFFDB, 0xFFDA  # JPEG: quantisation table, start of scan
_SIZ, _COD, _SOT, _PLT, _SOD = 0xFF51, 0xFF52, 0xFF90, 0xFF58, 0xFF93  # JPEG 2000
_END = b"\xff\xd9"  # of either
_LEVELS = 5  # of the wavelet transform, where the image allows it


class Segment(NamedTuple):
    """One marker segment.

    Parameters
    ----------
    marker : int
        For example 0xFFDB, a quantisation table of JPEG.
    start : int
        Where in the stream the marker stands.
    body : bytes
        What follows the length.
    """

    marker: int
    start: int
    body: bytes

    @property
    def end(self) -> int:
        """Where in the stream the next segment or the coded image begins."""
        return self.start + 4 + len(self.body)


def segments(stream: bytes) -> list[Segment]:
    """Marker segments before the coded image.

    Parameters
    ----------
    stream : bytes
        A JPEG file or a JPEG 2000 codestream.

    Returns
    -------
    list of Segment
        In their order. Of a JPEG the last one is the header of the first scan, and the coded
        image begins at its `end`; of a JPEG 2000 codestream it is the last before the marker
        *start of data*, which has no body.

    Raises
    ------
    BitstreamError
        If the stream is of another kind, or ends in a segment.
    """
    if stream[:2] not in (_JPEG, _JPEG2000):
        raise BitstreamError("This is neither a JPEG file nor a JPEG 2000 codestream.")
    found, place = [], 2
    while not found or found[-1].marker != _SOS:
        if len(stream) < place + 4:
            raise BitstreamError("The stream ends before its image begins; copy it again.")
        marker, length = struct.unpack(">HH", stream[place : place + 4])
        if marker == _SOD:
            break
        if marker < 0xFF00 or length < 2 or len(stream) < place + 2 + length:
            raise BitstreamError(
                f"There is no whole marker segment at byte {place}; copy it again."
            )
        found.append(Segment(marker, place, stream[place + 4 : place + 2 + length]))
        place = found[-1].end
    return found


def quantisation_steps(stream: bytes) -> np.ndarray:
    """Quantisation steps that a grey JPEG file carries.

    Parameters
    ----------
    stream : bytes

    Returns
    -------
    (64,) int64 array
        In the order of the file, along the diagonals from low to high frequencies.

    Raises
    ------
    BitstreamError
        If the stream is no JPEG file, or does not begin with a whole table.
    """
    tables = [part.body for part in segments(stream) if part.marker == _DQT]
    if not tables:
        raise BitstreamError("The stream has no quantisation table; pass a JPEG file.")
    wide = tables[0][:1] >= b"\x10"  # the first four bits say whether a step has two bytes
    steps = np.frombuffer(tables[0][1:], ">u2" if wide else "u1")[:64]
    if steps.size < 64:
        raise BitstreamError("The quantisation table is cut; copy the file again.")
    return steps.astype(np.int64)


def encode_layers(image: np.ndarray, psnrs: Sequence[float]) -> bytes:
    """Code an image as one lossy JPEG 2000 codestream of several layers.

    Parameters
    ----------
    image : (H, W) uint8
    psnrs : sequence of float
        PSNR (dB) to reach with each layer and those before it, rising.

    Returns
    -------
    bytes
        Layers in order, one after the other, with a list of the lengths of their packets.

    Raises
    ------
    ValueError
        If the image is not of 8 bits, or the qualities do not rise.
    """
    image = check_image(image)
    if image.dtype != np.uint8:
        raise ValueError(f"Layers are made of 8-bit images here, not of {image.dtype}.")
    if not len(psnrs) or any(b <= a for a, b in itertools.pairwise(psnrs)):
        raise ValueError(f"The qualities of the layers must rise, one after the other: {psnrs}.")
    buffer = io.BytesIO()
    Image.fromarray(image).save(
        buffer,
        "JPEG2000",
        irreversible=True,
        quality_mode="dB",
        quality_layers=list(psnrs),
        num_resolutions=1 + min(_LEVELS, min(image.shape).bit_length() - 1),
        no_jp2=True,
        plt=True,
    )
    return buffer.getvalue()


def cut_layers(stream: bytes, layers: int) -> bytes:
    """Keep the first layers of a JPEG 2000 codestream.

    Three things change: the bytes of the other layers go, the header says how many layers are
    left, and the tile says how long it now is. The list of lengths goes too, as no decoder
    needs it.

    Parameters
    ----------
    stream : bytes
        What `encode_layers` made.
    layers : int
        How many layers to keep, at least 1.

    Returns
    -------
    bytes
        A valid codestream.

    Raises
    ------
    BitstreamError
        If the stream is damaged or was not made by `encode_layers`.
    ValueError
        If it has fewer layers.

    Examples
    --------
    >>> image = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    >>> stream = encode_layers(image, [30, 40])
    >>> len(cut_layers(stream, 1)) < len(cut_layers(stream, 2)) < len(stream)
    True
    """
    parts = segments(stream)
    by_marker = {part.marker: part for part in parts}
    lengths = _packet_lengths(parts)
    if not {_SIZ, _COD, _SOT} <= by_marker.keys() or len(by_marker[_COD].body) < 6:
        raise BitstreamError("The stream is no JPEG 2000 codestream of `encode_layers`.")
    style, order, held, _, levels = struct.unpack(">BBHBB", by_marker[_COD].body[:6])
    data = parts[-1].end
    whole = data + 2 + sum(lengths) + len(_END) == len(stream)
    if style or order or len(lengths) != held * (levels + 1) or not whole:
        raise BitstreamError("The stream is damaged, or not of one tile with a list of lengths.")
    if layers not in range(1, held + 1):
        raise ValueError(f"The stream has {held} layers; keep 1 to {held} of them, not {layers}.")
    kept = stream[data : data + 2 + sum(lengths[: layers * (levels + 1)])]
    return _assemble(stream, by_marker[_COD], by_marker[_SOT], layers, kept)


def _assemble(stream: bytes, style: Segment, tile: Segment, layers: int, kept: bytes):
    """Join header, tile and packets, after two numbers were corrected."""
    header = bytearray(stream[: tile.start])
    header[style.start + 6 : style.start + 8] = struct.pack(">H", layers)
    start = bytearray(stream[tile.start : tile.end])
    length = len(start) + len(kept)
    start[6:10] = struct.pack(">I", length)
    return bytes(header + start) + kept + _END


def _packet_lengths(parts: list[Segment]) -> list[int]:
    """Bytes of each packet; seven bits a byte, the eighth says that more follow."""
    lengths, value = [], 0
    for part in parts:
        for byte in part.body[1:] if part.marker == _PLT else b"":
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                lengths.append(value)
                value = 0
    return lengths
