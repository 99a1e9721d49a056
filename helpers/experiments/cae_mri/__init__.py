"""Baiee and Al-Assadi (2024): a convolutional auto-encoder and Brotli on brain MRI."""
