"""The device that a user names, found before any work is done."""

from __future__ import annotations

from sreval.errors import UsageError


def pick_device(name: str) -> str:
    """``cpu``, ``cuda`` or ``cuda:N``; ``auto`` is the GPU where there is one.

    Raises UsageError when there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name).cpu()  # meta makes tensors, but none with values
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"No device {name!r} ({reason}).", "Use auto, cpu or cuda.") from None
    return name
