"""PSNR, SSIM and LPIPS, and the Protocol objects that fix how they are computed."""
