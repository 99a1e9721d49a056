"""Entropy, the limit of a memoryless coder, and a static coder that comes close to it.

The static coder counts how often each byte occurs, sends the counts first (they are side
information and part of the stream), then codes each byte in about -log2 p bits with the
asymmetric numeral system of constriction (Bamler 2022).

Taught in the section "Entropy, and what a ratio means" of *Measuring compression*.
"""

import brotli
import constriction
import numpy as np


def entropy(values: np.ndarray) -> float:
    """Empirical order-0 entropy.

    Parameters
    ----------
    values : integer array of any shape, not empty

    Returns
    -------
    float
        Bits per value: no code that treats values one by one can do better on average.

    Examples
    --------
    >>> entropy(np.array([0, 1, 2, 3]))
    2.0
    """
    counts = np.unique_counts(_not_empty(values)).counts
    return float(np.log2(counts.sum()) - (counts * np.log2(counts)).sum() / counts.sum())


def conditional_entropy(values: np.ndarray, contexts: np.ndarray) -> float:
    """Empirical entropy of values whose context is known, H(value | context).

    Parameters
    ----------
    values, contexts : integer arrays of one shape, not empty

    Returns
    -------
    float
        Bits per value, at most `entropy(values)`. With few values per context it flatters:
        a real coder must also learn the contexts' statistics.
    """
    values, contexts = _not_empty(values), _not_empty(contexts)
    if values.size != contexts.size:
        raise ValueError("conditional_entropy needs one context for each value.")
    _, pairs = np.unique(np.stack([values, contexts]), axis=1, return_inverse=True)
    return entropy(pairs) - entropy(contexts)


def encode_bytes(raw: bytes) -> bytes:
    """Code bytes with a static order-0 model.

    Parameters
    ----------
    raw : bytes

    Returns
    -------
    bytes
        Length of the table (u16), the table of 256 counts, the coded bytes.

    Examples
    --------
    >>> raw = bytes([0, 0, 0, 1] * 1000)
    >>> decode_bytes(encode_bytes(raw), 4000) == raw
    True
    """
    symbols = np.frombuffer(raw, np.uint8)
    counts = np.bincount(symbols, minlength=256)
    table = brotli.compress(counts.astype("<u4").reshape(256, 1).view(np.uint8).T.tobytes())
    head = len(table).to_bytes(2, "little") + table
    if np.count_nonzero(counts) < 2:
        return head  # the counts say it all
    coder = constriction.stream.stack.AnsCoder()
    alphabet = np.flatnonzero(counts)
    coder.encode_reverse(np.searchsorted(alphabet, symbols).astype(np.int32), _model(counts))
    return head + coder.get_compressed().astype("<u4").tobytes()


def decode_bytes(data: bytes, count: int) -> bytes:
    """Decode what `encode_bytes` coded.

    Parameters
    ----------
    data : bytes
    count : int
        Number of bytes that were coded.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If the data do not hold exactly `count` bytes.
    """
    size = int.from_bytes(data[:2], "little")
    table, words = data[2 : 2 + size], data[2 + size :]
    try:
        raw = brotli.Decompressor().process(table, output_buffer_limit=4 * 256 + 1)
    except brotli.error as error:
        raise ValueError("The table of counts is damaged; copy the stream again.") from error
    if len(raw) != 4 * 256 or len(words) % 4:
        raise ValueError("The table of counts or the code is cut; copy the stream again.")
    planes = np.frombuffer(raw, np.uint8).reshape(4, 256).T
    counts = np.ascontiguousarray(planes).view("<u4").ravel().astype(np.int64)
    if counts.sum() != count:
        raise ValueError(f"The code holds {counts.sum()} bytes, {count} were asked for.")
    alphabet = np.flatnonzero(counts)
    if alphabet.size < 2:
        if words:
            raise ValueError("The code holds more than the bytes it announces; copy it again.")
        return bytes(alphabet.astype(np.uint8)) * count
    code = np.frombuffer(words, "<u4").astype(np.uint32)
    if not code.size or not code[-1]:
        raise ValueError("The code ends in the middle; copy the stream again.")
    decoder = constriction.stream.stack.AnsCoder(code)
    symbols = alphabet[decoder.decode(_model(counts), count)].astype(np.uint8)
    if not decoder.is_empty():
        raise ValueError("The code holds more than the bytes it announces; copy it again.")
    return symbols.tobytes()


def _model(counts: np.ndarray):
    shares = counts[counts > 0] / counts.sum()
    return constriction.stream.model.Categorical(shares, perfect=False)


def _not_empty(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values).ravel()
    if not values.size:
        raise ValueError("There is no entropy of no values; pass at least one.")
    return values
