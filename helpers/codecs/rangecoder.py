"""An adaptive binary range coder in exact integers, the engine of the wavelet codecs.

The coder keeps an interval of the numbers between 0 and 1. Every binary decision cuts the
interval in proportion to how likely each answer was, so a probable answer costs next to
nothing and a surprise costs many bits; the bytes written are the shortest number inside the
last interval (Martin 1979; the carry handling is that of LZMA). The probabilities adapt:
each *context* is a small counter that learns from the answers it has seen, fast at first.

The arithmetic is 64-bit integers throughout: every machine decodes the same bits.
Where the data end early, the decoder knows which answers are still certain whatever bytes
would have followed, and stops at the first that is not: any prefix decodes, none runs on.

Taught in the section "Entropy, and what a ratio means" of *Measuring compression*.
"""

import numpy as np
from numba import njit

# Registers of a coder, one int64 array. The encoder writes [LOW, LOW + RANGE); the decoder
# holds where the data lie in it, CODE, and how much of CODE is unknown past the end, SLACK.
# LIMIT is a number of bytes after which a caller may as well give up; 0 is none.
LOW, RANGE, CACHE, PENDING, POSITION, CODE, SLACK, STOPPED, DECODING, LIMIT = range(10)
ROOM = 256  # free bytes a caller keeps in the buffer before it codes one coefficient
_TOP = 1 << 24
_CEILING = 1 << 32
_ONE = 1 << 16
_FLOOR = 48  # no probability leaves [48, 65488] / 65536
_PATIENCE = 160  # answers after which a context stops slowing down
_RATES = (_ONE / (np.arange(_PATIENCE + 1) + 1.6)).astype(np.int64)


@njit(cache=True)
def new_contexts(count):
    """Fresh adaptive contexts: (count, 2) int64 of P(0) in 1/65536 and answers seen."""
    contexts = np.zeros((count, 2), np.int64)
    contexts[:, 0] = _ONE // 2
    return contexts


@njit(cache=True)
def start_encoder():
    """Registers of a coder that writes."""
    coder = np.zeros(10, np.int64)
    coder[RANGE] = _CEILING - 1
    coder[CACHE] = -1  # the number is below 1: the byte before its point is not written
    return coder


@njit(cache=True)
def start_decoder(data):
    """Registers of a coder that reads the uint8 array `data`."""
    coder = np.zeros(10, np.int64)
    coder[RANGE] = _CEILING - 1
    coder[DECODING] = 1
    for _ in range(4):
        _next_byte(coder, data)
    coder[STOPPED] = coder[CODE] >= coder[RANGE]  # no encoder writes such a number
    return coder


@njit(cache=True)
def with_room(data):
    """Return the buffer with twice the room, its bytes kept."""
    grown = np.zeros(2 * data.size + 4 * ROOM, np.uint8)
    grown[: data.size] = data
    return grown


@njit(cache=True)
def code_bit(coder, data, contexts, which, bit):
    """Write `bit` under a context, or read it; return the bit.

    One function serves both directions, so a codec states its decisions once.
    When the data no longer determine the answer, STOPPED is set and 0 returned.
    """
    probability = contexts[which, 0]
    bound = (coder[RANGE] >> 16) * probability
    bit = _cut(coder, data, bound, bit)
    if coder[STOPPED]:
        return 0
    seen = contexts[which, 1]
    if bit:
        probability -= (probability * _RATES[seen]) >> 16
    else:
        probability += ((_ONE - probability) * _RATES[seen]) >> 16
    contexts[which, 0] = min(max(probability, _FLOOR), _ONE - _FLOOR)
    contexts[which, 1] = min(seen + 1, _PATIENCE)
    return bit


@njit(cache=True)
def code_chance(coder, data, chance, bit):
    """Write or read a bit that is 1 with a chance that the caller knows, in 1/65536."""
    return _cut(coder, data, (coder[RANGE] >> 16) * (_ONE - chance), bit)


@njit(cache=True)
def code_fair(coder, data, bit):
    """Write or read a bit that nothing predicts, such as a sign: it costs one bit."""
    return _cut(coder, data, coder[RANGE] >> 1, bit)


@njit(cache=True)
def finish(coder, data):
    """Write the fewest bytes that settle every decision; return the length in bytes."""
    low, high = coder[LOW], coder[LOW] + coder[RANGE]
    for count in range(1, 5):
        unknown = (1 << (32 - 8 * count)) - 1
        value = (low + unknown) & ~unknown
        if value + unknown < high:
            break
    coder[LOW] = value
    for _ in range(count + 1):
        _shift(coder, data)
    return coder[POSITION]


@njit(cache=True)
def _cut(coder, data, bound, bit):
    if coder[DECODING]:
        if coder[CODE] >= bound:
            bit = 1
        elif coder[CODE] + coder[SLACK] < bound:
            bit = 0
        else:  # the answer hangs on bytes that are not there
            coder[STOPPED] = 1
            return 0
        if bit:
            coder[CODE] -= bound
    elif bit:
        coder[LOW] += bound
    coder[RANGE] = coder[RANGE] - bound if bit else bound
    while coder[RANGE] < _TOP:
        coder[RANGE] <<= 8
        if coder[DECODING]:
            _next_byte(coder, data)
        else:
            _shift(coder, data)
    return bit


@njit(cache=True)
def _next_byte(coder, data):
    byte, unknown = 0, 255
    if coder[POSITION] < data.size:
        byte, unknown = np.int64(data[coder[POSITION]]), 0
        coder[POSITION] += 1
    coder[CODE] = (coder[CODE] << 8) | byte
    coder[SLACK] = min((coder[SLACK] << 8) | unknown, _CEILING)


@njit(cache=True)
def _shift(coder, data):
    # A byte 0xFF may still become 0x00 with a carry into the one before: it waits as PENDING.
    if coder[LOW] < 0xFF000000 or coder[LOW] >= _CEILING:
        carry = coder[LOW] >> 32
        if coder[CACHE] >= 0:
            _put(coder, data, coder[CACHE] + carry)
        for _ in range(coder[PENDING]):
            _put(coder, data, 0xFF + carry)
        coder[PENDING] = 0
        coder[CACHE] = (coder[LOW] >> 24) & 0xFF
    else:
        coder[PENDING] += 1
    coder[LOW] = (coder[LOW] & 0x00FFFFFF) << 8


@njit(cache=True)
def _put(coder, data, byte):
    # A full buffer ends a stream that had a byte budget: what was written is a valid prefix.
    if coder[POSITION] < data.size:
        data[coder[POSITION]] = byte & 0xFF
        coder[POSITION] += 1
    else:
        coder[STOPPED] = 1


@njit(cache=True)
def _code_all(coder, data, bits, which, contexts):
    for i in range(bits.size):
        if not coder[DECODING] and data.size - coder[POSITION] < ROOM + coder[PENDING]:
            data = with_room(data)
        bits[i] = code_bit(coder, data, contexts, which[i], bits[i])
    return data


def as_buffer(data: bytes) -> np.ndarray:
    """Bytes as the writable uint8 array that the compiled functions take."""
    return np.frombuffer(data, np.uint8).copy()


def close_code(coder: np.ndarray, data: np.ndarray) -> bytes:
    """Close the code that a range coder has written.

    Parameters
    ----------
    coder : (10,) int64
    data : uint8 array
        Buffer of the coder.

    Returns
    -------
    bytes
    """
    if data.size - coder[POSITION] < ROOM + coder[PENDING]:
        data = with_room(data)
    return data[: finish(coder, data)].tobytes()


def encode_bits(bits: np.ndarray, contexts: np.ndarray | None = None) -> bytes:
    """Code a sequence of binary decisions.

    Parameters
    ----------
    bits : (N,) integer array of 0 and 1
    contexts : (N,) integer array, optional
        Which adaptive context each decision belongs to, from 0; all in one when omitted.

    Returns
    -------
    bytes

    Examples
    --------
    >>> rare = (np.arange(8000) % 100 == 0).astype(int)
    >>> len(encode_bits(rare)) < 8000 // 8 // 8
    True
    """
    bits = np.array(bits, np.uint8)
    which = _which(contexts, bits.size)
    coder, data = start_encoder(), np.zeros(4 * ROOM, np.uint8)
    data = _code_all(coder, data, bits, which, new_contexts(int(which.max(initial=0)) + 1))
    return close_code(coder, data)


def decode_bits(data: bytes, count: int, contexts: np.ndarray | None = None) -> np.ndarray:
    """Decode what `encode_bits` coded, given the same contexts.

    Parameters
    ----------
    data : bytes
    count : int
        Number of decisions.
    contexts : (N,) integer array, optional

    Returns
    -------
    (N,) uint8 array

    Raises
    ------
    ValueError
        If the data end before they determine every decision.
    """
    which = _which(contexts, count)
    buffer = as_buffer(data)
    coder, bits = start_decoder(buffer), np.zeros(count, np.uint8)
    _code_all(coder, buffer, bits, which, new_contexts(int(which.max(initial=0)) + 1))
    if coder[STOPPED]:
        raise ValueError(f"{len(data)} bytes do not hold {count} decisions; pass the whole code.")
    return bits


def _which(contexts: np.ndarray | None, count: int) -> np.ndarray:
    which = np.zeros(count, np.int64) if contexts is None else np.asarray(contexts, np.int64)
    if which.shape != (count,) or which.min(initial=0) < 0:
        raise ValueError(f"{count} decisions need {count} context numbers from 0 upwards.")
    return which
