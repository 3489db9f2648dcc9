"""One interface, LR image in, SR image out: interpolation, published images, a user's function."""
