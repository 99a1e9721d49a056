"""The two errors a reader of the book can meet, each one paragraph that names the way out."""


class DataError(RuntimeError):
    """A data set is missing, damaged or laid out in another way than its loader expects."""


class BitstreamError(ValueError):
    """A coded stream is truncated, altered, foreign, or was made by other weights."""
