"""Import Keras quietly and safely: every module of the book that trains with it starts here.

TensorFlow writes start-up notes to the process's standard error from C++, where no Python
filter reaches them, and they would end up in the page. It also brings an LLVM of its own, as
Triton does, which PyTorch loads when it wants to: in one order of the two imports the process
goes on, in the other it is aborted.
"""

import contextlib
import logging
import os
from collections.abc import Iterator


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send the process's standard error to nowhere for a while."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("tensorflow").setLevel(logging.ERROR)  # or a page shows advice on tracing
with contextlib.suppress(ImportError):
    import triton._C.libtriton  # noqa: F401  (before TensorFlow; see above)
with _quiet():
    import keras
    import keras.ops

    keras.ops.ones(1)  # the first operation has notes of its own

__all__ = ["keras"]
