"""Noise, its accounting, and what is done to the noisy counts after decryption."""
