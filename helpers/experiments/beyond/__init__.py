"""The codecs of *Beyond the papers*: what they learn from, how, and what comes of it."""
