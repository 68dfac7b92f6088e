"""From noisy coefficients to published files, and the folder that holds them."""
