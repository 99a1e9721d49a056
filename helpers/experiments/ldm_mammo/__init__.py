"""Hwang & Woo: mammograms shrunk, restored by latent diffusion, and read by a classifier."""
