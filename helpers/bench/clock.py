"""The clock of single measurements on one thread."""

import time

_FINE = 1e-4  # seconds


def now() -> float:
    """Seconds of this process's computing, which other work on the machine does not stretch.

    Where the system counts them in steps too coarse for a fast codec, as Windows does, it is the
    time of day.
    """
    coarse = time.get_clock_info("process_time").resolution > _FINE
    return time.perf_counter() if coarse else time.process_time()
