"""The lossless codec that learns while it codes; `helpers.codecs.learned` is its envelope."""
