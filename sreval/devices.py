"""What torch works with: the device and its arithmetic, the threads, the memory."""

from __future__ import annotations

import ctypes
import gc
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sreval.errors import UsageError

Precision = Literal["fp32", "bf16"]
"""In which networks are run."""

_lock = threading.Lock()
_inside = 0
_restore: list[Callable[[], Any]] = []


_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Where a container's limit of memory stands, and what is used of it: cgroup 2 and cgroup 1."""

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def pick_device(name: str) -> str:
    """``cpu``, ``cuda`` or ``cuda:N``; ``auto`` is the GPU where there is one.

    Raises UsageError when there is no such device.
    """
    if name == "cpu":  # it is there, and torch need not be loaded to know that
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name).cpu()  # meta makes tensors, but none with values
    except (RuntimeError, AssertionError, ImportError) as error:
        # of other kinds torch lists what it was built with, which says no more
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        why = textwrap.shorten(reason, 120) if name.startswith("cuda") else "torch has none here"
        raise UsageError(f"No device {name!r} ({why}).", "Use auto, cpu or cuda.") from None
    return name


def slow_bf16(device: str) -> bool:
    """Whether it is a processor that has no arithmetic for bf16, as far as torch can tell."""
    import torch

    if torch.device(device).type != "cpu":
        return False
    # torch has no public name for this, and none at all where it was built without oneDNN
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and not supported()


@contextmanager
def exact_fp32() -> Iterator[None]:
    """Convolutions and products of fp32 computed in fp32, whatever the process has set.

    On CUDA torch rounds a convolution's factors to TF32 by default, whose 10 bits of mantissa
    move one value of an image in forty by a level. Off within are TF32, bf16 in fp32's place on
    the CPU, autocast, and cuDNN's choice among algorithms by their time, for each rounds in its
    own way. Autocast is the thread's; the others are the whole process's, so the last of several
    threads to leave restores them.
    """
    global _inside
    import torch

    with _lock:
        if not _inside:
            _restore[:] = _set_exact()
        _inside += 1
    try:
        with ExitStack() as stack:
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for restore in _restore:
                    restore()


@contextmanager
def convolutions(*, tf32: bool, fastest: bool) -> Iterator[None]:
    """How cuDNN computes convolutions inside: those of fp32 in TF32 or not, and by which algorithm.

    `fastest` times the algorithms and takes the fastest for each shape; otherwise the same input
    gives the same bits each time. The settings are the whole process's.
    """
    import torch

    cudnn: Any = torch.backends.cudnn
    switches = [
        (cudnn.conv, "fp32_precision", "tf32" if tf32 else "ieee")
        if hasattr(cudnn, "conv")
        else (cudnn, "allow_tf32", tf32),
        (cudnn, "benchmark", fastest),
        (cudnn, "deterministic", not fastest),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in switches]
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


@contextmanager
def one_thread() -> Iterator[int]:
    """Torch without threads of its own; gives the number it would otherwise work with.

    Operations of some microseconds lose more at torch's barriers than a second core gains, and
    where another program holds that core they wait for it every time. The setting is the whole
    process's, and setting it throws away what torch has prepared for its convolutions. So the main
    thread alone sets it: in others, beside which a network may be trained, nothing changes.
    """
    import torch

    usual = torch.get_num_threads()
    if threading.current_thread() is not threading.main_thread():
        yield usual
        return
    torch.set_num_threads(1)
    try:
        yield usual
    finally:
        torch.set_num_threads(usual)


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


@contextmanager
def peak_memory(device: str) -> Iterator[list[int]]:
    """A list that gets, at the end, the bytes held at most inside, less those held before.

    On CUDA they are what torch allocates there. Elsewhere they are the resident memory of the whole
    process, whose peak Linux alone lets a program measure anew: on other systems the list stays
    empty.
    """
    found: list[int] = []
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found.append(torch.cuda.max_memory_allocated(device) - before)
        return
    _give_back()
    try:
        # proc(5): 5 sets the peak to what is resident now
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        held = _resident("VmRSS")
    except (OSError, ValueError):
        yield found
        return
    yield found
    found.append(max(0, _resident("VmHWM") - held))


def free_memory(device: str) -> int | None:
    """Bytes that a device, or this machine for ``cpu``, can still give; None where nobody says.

    A container's limit counts, as a machine's memory does.
    """
    if device.startswith("cuda"):
        import torch

        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    with suppress(OSError, ValueError):
        room = [_bytes("/proc/meminfo", "MemAvailable")]
        for limit, used in _LIMITS:
            with suppress(OSError, ValueError):  # "max" is no number
                room.append(_number(limit) - _number(used))
        return max(0, min(room))
    return None


def _give_back() -> None:
    """Return what was freed to the system, where the C library can: it would hide what is taken."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _resident(field: str) -> int:
    """Bytes of a field of /proc/self/status. Raises OSError or ValueError where there is none."""
    return _bytes("/proc/self/status", field)


def _number(path: str) -> int:
    return int(Path(path).read_text(encoding="ascii"))


def _bytes(path: str, field: str) -> int:
    lines = Path(path).read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return 1024 * int(fields.get(field, "").removesuffix("kB"))


def _set_exact() -> list[Callable[[], Any]]:
    """Set the process's switches; what puts each back."""
    import torch

    backends: Any = torch.backends
    switches: list[tuple[Any, str, Any]] = [(backends.cudnn, "benchmark", False)]
    # torch 2.9 has a switch for each kind of operation, and complains of the older ones
    newer = hasattr(backends.cuda.matmul, "fp32_precision")
    if newer:
        cuda = (backends.cudnn.conv, backends.cuda.matmul)
        cpu = (backends.mkldnn.conv, backends.mkldnn.matmul)
        switches += [(operation, "fp32_precision", "ieee") for operation in (*cuda, *cpu)]
    else:
        switches.append((backends.cudnn, "allow_tf32", False))
    restore: list[Callable[[], Any]] = []
    for owner, name, value in switches:
        restore.append(partial(setattr, owner, name, getattr(owner, name)))
        setattr(owner, name, value)
    if not newer:
        # of the CPU's products, too
        before = torch.get_float32_matmul_precision()
        restore.append(partial(torch.set_float32_matmul_precision, before))
        torch.set_float32_matmul_precision("highest")
    return restore
