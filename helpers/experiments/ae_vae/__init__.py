"""Abdelrahman: an auto-encoder and a variational auto-encoder on CBIS-DDSM mammograms."""
