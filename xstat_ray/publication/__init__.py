"""Turns noisy coefficients into published files, and keeps the folder that holds them."""
