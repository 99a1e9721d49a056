"""How many threads BLAS may use while a codec multiplies many small matrices."""

import os
from functools import lru_cache

from threadpoolctl import ThreadpoolController


def few_threads():
    """Limit BLAS to as many threads as OMP_NUM_THREADS asks for, else to one.

    With matrices this narrow, more of them only wait for each other, and beside PyTorch's own
    threads they wait many times as long; the result is the same.

    Returns
    -------
    context manager
    """
    asked = os.environ.get("OMP_NUM_THREADS", "1")
    return _blas().limit(limits=int(asked) if asked.isdecimal() else 1)


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    """Find NumPy's BLAS; once, since that takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")
