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
with contextlib.suppress(ImportError):
    import triton._C.libtriton  # noqa: F401  (before TensorFlow; see above)
with _quiet():
    import keras
    import keras.ops

    keras.ops.ones(1)  # the first operation has notes of its own
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        # in a notebook it would print advice on tracing; its logger sets its own level when made
        tensorflow.get_logger().setLevel(logging.ERROR)

__all__ = ["keras"]
