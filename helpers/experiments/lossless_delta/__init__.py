"""Shanmukh (2022): lossless compression of chest films by auto-encoder and delta."""
