"""Canonical Huffman coding of bytes: every byte value gets a whole number of bits.

Huffman (1952) joins the two rarest symbols again and again; how often a symbol was joined is
the length of its code word, and no other code of whole bits is shorter on average. Only the
lengths need to be sent: sender and receiver both number the code words in the same, canonical
order (Schwartz and Kallick 1964). A code word cannot be shorter than one bit, which is what
the range coder of `helpers.codecs.entropy` saves.

======= ==== ============================================================
bytes   type field
======= ==== ============================================================
2       u16  length of the table, n
n       --   the 256 code lengths, one byte each, packed by Brotli
rest    --   the code words, first bit highest; the last byte ends in zeros
======= ==== ============================================================

Taught in the chapter *Lossless by auto-encoder and delta*.
"""

import heapq

import brotli
import numpy as np
from numba import njit

# A code word of L bits needs at least Fibonacci(L + 2) coded bytes: joining the two rarest
# groups makes the tree deep only where every group outweighs the two before it. For 48 bits
# that is Fibonacci(50), so what is shorter never has a code word of more than 47 bits.
_LONGEST = 47
_TOO_MANY = 12_586_269_025
_CHUNK = 1 << 16  # bytes coded at a time, which keeps the arrays of single bits small


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Lengths of the code words of a Huffman code.

    Parameters
    ----------
    counts : (N,) integer array
        How often each symbol occurs, at least 0.

    Returns
    -------
    (N,) uint8 array
        Bits per symbol; 0 for a symbol that never occurs, 1 for one that is alone.

    Examples
    --------
    >>> code_lengths([45, 13, 12, 16, 9, 5]).tolist()
    [1, 3, 3, 3, 4, 4]
    """
    lengths = np.zeros(len(counts), np.uint8)
    groups = [(int(count), symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    if len(groups) == 1:
        lengths[groups[0][1]] = 1
    heapq.heapify(groups)
    newest = len(counts)  # among equals, older groups are joined first: the tree stays low
    while len(groups) > 1:
        rarest, _, left = heapq.heappop(groups)
        second, _, right = heapq.heappop(groups)
        lengths[left + right] += 1
        heapq.heappush(groups, (rarest + second, newest, left + right))
        newest += 1
    return lengths


def canonical_codes(lengths: np.ndarray) -> np.ndarray:
    """Code words in canonical order: short before long, then by symbol, each one more.

    Parameters
    ----------
    lengths : (N,) integer array
        Bits per symbol, 0 for a symbol without code word, at most 62.

    Returns
    -------
    (N,) int64 array
        Code words; the lowest ``lengths[symbol]`` bits count, the highest of them is first.

    Examples
    --------
    >>> codes = canonical_codes([1, 3, 3, 3, 4, 4])
    >>> [f"{code:0{bits}b}" for code, bits in zip(codes, [1, 3, 3, 3, 4, 4])]
    ['0', '100', '101', '110', '1110', '1111']
    """
    lengths = np.asarray(lengths, np.int64)
    codes = np.zeros(len(lengths), np.int64)
    following, length = 0, 0
    for symbol in np.argsort(lengths, kind="stable"):
        if lengths[symbol]:
            following <<= int(lengths[symbol]) - length
            length = int(lengths[symbol])
            codes[symbol] = following
            following += 1
    return codes


def encode_huffman(raw: bytes) -> bytes:
    """Code bytes with a Huffman code fitted to them.

    Parameters
    ----------
    raw : bytes

    Returns
    -------
    bytes
        The table at the top of this file. No code words follow where fewer than two
        different bytes occur: the table and the count say it all.

    Raises
    ------
    ValueError
        If there are more bytes than the table's bound on code words allows (12.6 GB).

    Examples
    --------
    >>> raw = bytes([7, 7, 7, 9] * 1000)
    >>> decode_huffman(encode_huffman(raw), 4000) == raw
    True
    """
    if len(raw) >= _TOO_MANY:
        raise ValueError(f"{len(raw)} bytes are too many for one Huffman code; cut them up.")
    symbols = np.frombuffer(raw, np.uint8)
    lengths = code_lengths(np.bincount(symbols, minlength=256))
    table = brotli.compress(lengths.tobytes())
    head = len(table).to_bytes(2, "little") + table
    if np.count_nonzero(lengths) < 2:
        return head
    codes = canonical_codes(lengths)
    pieces = (symbols[start : start + _CHUNK] for start in range(0, symbols.size, _CHUNK))
    bits = np.concatenate([_bits(codes[piece], lengths[piece]) for piece in pieces])
    return head + np.packbits(bits).tobytes()


def decode_huffman(data: bytes, count: int) -> bytes:
    """Decode what `encode_huffman` coded.

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
        If the table is none of a Huffman code, or the code does not hold exactly `count`
        bytes.
    """
    size = int.from_bytes(data[:2], "little")
    lengths, words = _read_lengths(data[2 : 2 + size]), data[2 + size :]
    alphabet = np.argsort(lengths, kind="stable")[np.count_nonzero(lengths == 0) :]
    if (alphabet.size == 0) != (count == 0):
        raise ValueError(f"The table does not suit {count} bytes; pass the count of the encoder.")
    if alphabet.size < 2:
        if words:
            raise ValueError("The code holds more than the bytes asked for; copy it again.")
        return bytes(alphabet.astype(np.uint8)) * count
    if count > 8 * len(words):  # before memory is taken for them
        raise ValueError(f"{len(words)} bytes of code cannot hold {count}; copy it again.")
    symbols = np.zeros(count, np.uint8)
    per_length = np.bincount(lengths, minlength=_LONGEST + 1)
    per_length[0] = 0
    used = _walk(np.frombuffer(words, np.uint8), per_length, alphabet, symbols)
    if used < 0:
        raise ValueError("The code ends in the middle; copy the stream again.")
    if -(-used // 8) != len(words) or words[-1] & ((1 << (-used % 8)) - 1):
        raise ValueError("The code holds more than the bytes asked for; copy it again.")
    return symbols.tobytes()


def _bits(codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Code words written out one after the other as single bits, (sum of lengths,) uint8."""
    ends = np.cumsum(lengths, dtype=np.int64)
    place = np.repeat(ends - 1, lengths) - np.arange(ends[-1])  # of the bit, from the lowest
    return (np.repeat(codes, lengths) >> place & 1).astype(np.uint8)


def _read_lengths(table: bytes) -> np.ndarray:
    """Code lengths from their table, (256,) int64, after checking that they make a code."""
    try:
        raw = brotli.Decompressor().process(table, output_buffer_limit=257)
    except brotli.error as error:
        raise ValueError("The table of code lengths is damaged; copy the stream again.") from error
    lengths = np.frombuffer(raw, np.uint8).astype(np.int64)
    if lengths.size != 256 or lengths.max() > _LONGEST:
        raise ValueError("The table of code lengths is cut or altered; copy the stream again.")
    used = lengths[lengths > 0]
    # Kraft and McMillan: the shares of the code words fill the unit interval exactly.
    if used.size > 1 and (1 << (_LONGEST - used)).sum() != 1 << _LONGEST:
        raise ValueError("The code lengths make no Huffman code; copy the stream again.")
    if used.size == 1 and used[0] != 1:
        raise ValueError("A code of one symbol has length 1; copy the stream again.")
    return lengths


@njit(cache=True)
def _walk(words, per_length, alphabet, symbols):
    """Read the symbols; return the number of bits used, or -1 where the code ends early."""
    position, end = 0, 8 * words.size
    for i in range(symbols.size):
        # Canonical code words of one length are consecutive numbers, the first of them `first`.
        length, code, first, shorter = 0, 0, 0, 0
        while code - first >= per_length[length]:
            if position == end:
                return -1
            bit = words[position >> 3] >> (7 - (position & 7)) & 1
            position += 1
            shorter += per_length[length]
            first = 2 * (first + per_length[length])
            code = 2 * code | bit
            length += 1
        symbols[i] = alphabet[shorter + code - first]
    return position
