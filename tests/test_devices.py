"""Arithmetic and threads are what was asked for inside, and as they were outside."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from sreval.devices import exact_fp32, one_thread, pick_device, slow_bf16
from sreval.errors import UsageError
from sreval.metrics import _ssim
from sreval.metrics import lpips as lpips_module
from sreval.metrics.lpips import lpips
from sreval.metrics.ssim import ssim_daala, ssim_wang
from sreval.networks.architecture import SRResNetArchitecture
from sreval.networks.inference import Inference

BACKENDS: Any = torch.backends
NEWER = hasattr(BACKENDS.cuda.matmul, "fp32_precision")


def switches() -> dict[str, object]:
    """All that decides in which precision fp32 is computed, as this version of torch tells it."""
    found: dict[str, object] = {
        "benchmark": BACKENDS.cudnn.benchmark,
        "autocast": torch.is_autocast_enabled("cpu"),
    }
    if NEWER:
        found["conv"] = BACKENDS.cudnn.conv.fp32_precision
        found["matmul"] = BACKENDS.cuda.matmul.fp32_precision
        found["conv, CPU"] = BACKENDS.mkldnn.conv.fp32_precision
        found["matmul, CPU"] = BACKENDS.mkldnn.matmul.fp32_precision
    else:
        found["conv"] = BACKENDS.cudnn.allow_tf32
        found["matmul"] = torch.get_float32_matmul_precision()
    return found


def exact(found: dict[str, object]) -> bool:
    fp32 = {"ieee"} if NEWER else {False, "highest"}
    modes = {value for name, value in found.items() if name not in ("benchmark", "autocast")}
    return modes <= fp32 and found["benchmark"] is False and found["autocast"] is False


@pytest.fixture(params=["torch's own", "TF32 and bf16", "the older way"])
def before(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """What the process has set before."""
    usual = switches()
    BACKENDS.cudnn.benchmark = True
    if request.param == "the older way" or (request.param == "TF32 and bf16" and not NEWER):
        torch.set_float32_matmul_precision("medium")
    elif request.param == "TF32 and bf16":
        BACKENDS.cudnn.conv.fp32_precision = BACKENDS.cuda.matmul.fp32_precision = "tf32"
        BACKENDS.mkldnn.conv.fp32_precision = BACKENDS.mkldnn.matmul.fp32_precision = "bf16"
    yield switches()
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cudnn.benchmark = usual["benchmark"]
    if NEWER:
        BACKENDS.cudnn.conv.fp32_precision = usual["conv"]
        BACKENDS.cuda.matmul.fp32_precision = usual["matmul"]
        BACKENDS.mkldnn.conv.fp32_precision = usual["conv, CPU"]
        BACKENDS.mkldnn.matmul.fp32_precision = usual["matmul, CPU"]


def test_exact_inside_and_as_before_after(before: dict[str, object]) -> None:
    assert not exact(before)
    with exact_fp32():
        assert exact(switches())
    assert switches() == before


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_what_the_older_way_set_is_told_again_after(precision: str) -> None:
    torch.set_float32_matmul_precision(precision)
    try:
        with exact_fp32():
            pass
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision("highest")


def test_an_error_restores(before: dict[str, object]) -> None:
    with pytest.raises(ZeroDivisionError), exact_fp32():
        raise ZeroDivisionError
    assert switches() == before


def test_the_inner_one_restores_nothing(before: dict[str, object]) -> None:
    with exact_fp32():
        with exact_fp32():
            assert exact(switches())
        assert exact(switches())
    assert switches() == before


def test_the_last_thread_to_leave_restores(before: dict[str, object]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with exact_fp32():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with exact_fp32():
        thread.start()
        assert entered.wait(60)
    assert exact(switches())
    leave.set()
    thread.join()
    assert switches() == before


def test_autocast_is_off_inside_and_on_again_after() -> None:
    a = torch.rand(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        with exact_fp32():
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16


def test_products_are_those_of_fp32() -> None:
    """bf16 in fp32's place, where the processor has it, would be seen here."""
    a, b = torch.rand(256, 256), torch.rand(256, 256)
    with exact_fp32():
        error = (a @ b - (a.double() @ b.double()).float()).abs().max()
    assert float(error) < 1e-3


def test_inference_runs_inside(before: dict[str, object]) -> None:
    ours = Inference.of(SRResNetArchitecture(depth=1, channels=4).build(), SRResNetArchitecture())
    seen: list[dict[str, object]] = []
    ours.network.register_forward_hook(lambda *_: seen.append(switches()))
    ours.upscale([np.zeros((8, 8, 3), np.uint8)])
    ours.tensor(torch.zeros(1, 3, 8, 8))
    assert len(seen) == 2
    assert all(map(exact, seen))
    assert switches() == before


def test_lpips_runs_inside(before: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, object]] = []

    def layer(images: torch.Tensor) -> torch.Tensor:
        seen.append(switches())
        return images[:, :1]

    model = SimpleNamespace(net=lambda images: [layer(images)], scaling_layer=layer, lins=[layer])
    monkeypatch.setattr(lpips_module.Trunk, "load", lambda trunk, device: model)
    black = np.zeros((40, 40, 3), np.uint8)
    assert lpips(black, black) == 0
    assert len(seen) == 5
    assert all(map(exact, seen))
    assert switches() == before


@pytest.mark.parametrize("ssim", [ssim_wang, ssim_daala])
def test_ssim_runs_inside(
    before: dict[str, object], monkeypatch: pytest.MonkeyPatch, ssim: Any
) -> None:
    seen: list[dict[str, object]] = []
    sums = _ssim._window_sums

    def spy(*args: Any) -> Any:
        seen.append(switches())
        return sums(*args)

    monkeypatch.setattr(_ssim, "_window_sums", spy)
    plane = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    assert ssim(plane, plane) == 1
    assert seen
    assert all(map(exact, seen))
    assert switches() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_convolutions_and_products_are_those_of_fp32() -> None:
    """TF32 keeps 10 bits of a factor's mantissa: errors of 1e-3 of a sum's size, not of 1e-6."""
    torch.manual_seed(0)
    x, kernel = torch.randn(4, 64, 48, 48), torch.randn(64, 64, 3, 3)
    a = torch.randn(512, 512)
    torch.set_float32_matmul_precision("high")
    try:
        with exact_fp32():
            conv = torch.nn.functional.conv2d(x.cuda(), kernel.cuda()).cpu()
            product = (a.cuda() @ a.cuda()).cpu()
    finally:
        torch.set_float32_matmul_precision("highest")
    wanted = torch.nn.functional.conv2d(x.double(), kernel.double())
    assert float((conv - wanted).abs().max() / wanted.abs().max()) < 2e-5
    wanted = a.double() @ a.double()
    assert float((product - wanted).abs().max() / wanted.abs().max()) < 2e-5


def test_a_processor_without_bf16_is_told_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for supported in (False, True):
        monkeypatch.setattr(
            torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda supported=supported: supported
        )
        assert slow_bf16("cpu") is not supported
        assert not slow_bf16("cuda")
    monkeypatch.undo()
    # a processor that makes products in bf16 has one of these
    with suppress(OSError):
        known = Path("/proc/cpuinfo").read_text()
        if "avx2" in known:
            assert slow_bf16("cpu") is not ("avx512bw" in known or "avx_ne_convert" in known)


@pytest.mark.parametrize("name", ["hpu", "vulkan", "privateuseone", "gpu9", "", "cuda:99"])
def test_a_device_that_is_not_here_is_one_short_sentence(name: str) -> None:
    with pytest.raises(UsageError) as error:
        pick_device(name)
    said = str(error.value)
    assert said.startswith(f"No device {name!r} (")
    assert said.endswith("). Use auto, cpu or cuda.")
    assert len(said) < 200
    assert "\n" not in said
    for remedy in ("auto", "cpu"):
        torch.zeros(1, device=pick_device(remedy))


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_one_inside_and_the_usual_number_told() -> None:
    with one_thread() as usual:
        assert usual == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_a_thread_beside_leaves_the_number_alone() -> None:
    """What it sets would be the main thread's, too, which may be training a network."""

    def inside() -> int:
        with one_thread():
            return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() == 3
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_error_restores_too() -> None:
    with pytest.raises(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == 3


SCRIPT = """
import resource, sys
from sreval.devices import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
for _ in range(2):
    bytearray(64 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(64 << 20)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> tuple[bool, int]:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    kept, count = run.stdout.split()
    return kept == "1", int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts Linux's page faults")
def test_large_blocks_are_not_cleared_anew() -> None:
    kept, count = faults("keep")
    if not kept:
        pytest.skip("the C library is not glibc")
    assert count < 100
    assert faults("leave")[1] > 1000
