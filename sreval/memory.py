"""Memory that a process keeps for itself once it has it."""

from __future__ import annotations

import ctypes

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let this process use freed memory again and give none back; whether that could be set.

    By default glibc maps every large block anew, and Linux clears it page by page as it is first
    written. An update of a network frees and takes the same large blocks as the one before.
    Other C libraries than glibc are left as they are.
    """
    try:
        libc = ctypes.CDLL(None)
        # the name alone doesn't tell: others have a mallopt that sets nothing
        if not hasattr(libc, "gnu_get_libc_version"):
            return False
        return bool(libc.mallopt(_M_MMAP_MAX, 0) and libc.mallopt(_M_TRIM_THRESHOLD, -1))
    except (OSError, AttributeError, TypeError):
        return False
