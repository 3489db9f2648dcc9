"""Images as arrays: reading and writing, MATLAB's bicubic, luma, data sets and their checksums."""
