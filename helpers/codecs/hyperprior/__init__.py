"""A learned lossy codec: transform in floats, entropy parameters in whole numbers."""
