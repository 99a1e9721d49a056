"""A process of its own for a measurement: nothing of the caller in memory; mostly one thread."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from helpers.errors import DataError
from helpers.lossless import THREAD_VARIABLES

ONE_THREAD = dict.fromkeys((*THREAD_VARIABLES, "NUMBA_NUM_THREADS"), "1")
# glibc keeps what is freed, instead of asking for it anew, page by page: a quarter less time where
# large arrays come and go, a tenth more memory
KEEPING = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**32))
_WARM_UP = 64  # side of the square on which codecs compile and load, in pixels


@contextlib.contextmanager
def worker(settings: Mapping[str, str] = ONE_THREAD) -> Iterator[Callable]:
    """Start a fresh process, which calculates with one thread, and end it afterwards.

    Parameters
    ----------
    settings : mapping of str to str
        Variables of its environment, beside those of this one; none let it use all threads.

    Yields
    ------
    callable
        ``call(function, *arguments)`` returns what the function returns there.

    Raises
    ------
    DataError
        If the process ended before it answered.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        before = dict(os.environ)
        os.environ.update(settings)  # libraries read it once, when they are loaded
        try:
            pool.submit(int).result()
        finally:
            for name in settings:
                os.environ.pop(name)
            os.environ.update(before)
        try:
            yield lambda function, *arguments: pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise DataError(
                "The process that measured ended before it answered, perhaps for lack of memory; "
                "measure fewer codecs (--codecs), models (--models) or smaller images (--images)."
            ) from error


def centre(image: np.ndarray) -> np.ndarray:
    """Small middle part of an image, on which a codec compiles and loads before it is timed.

    Parameters
    ----------
    image : (H, W) array

    Returns
    -------
    (at most 64, at most 64) array
    """
    top, left = (max(length - _WARM_UP, 0) // 2 for length in image.shape)
    return np.ascontiguousarray(image[top : top + _WARM_UP, left : left + _WARM_UP])
