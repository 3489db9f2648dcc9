"""A network in ONNX as a module that onnxruntime computes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sreval.errors import UsageError, WeightsError, install

_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}


class OnnxNetwork(nn.Module):
    """One input and one output, (N, C, h, w), in fp32 or fp16; fp32 is never TF32.

    `fixed` is the height and width that the file fixes, None where it takes any; `metadata` is what
    it says of itself; `package` says which onnxruntime computes it. Raises WeightsError for a file
    that can't be read, UsageError for another interface, where onnxruntime is missing, and where
    CUDA is asked of one without it.
    """

    def __init__(self, data: bytes, path: Path, device: str) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError:
            raise UsageError(
                f"onnx:{path} needs the package onnxruntime.", install("onnx")
            ) from None
        self.package = f"onnxruntime {onnxruntime.__version__}"
        provider = _provider(path, device, onnxruntime.get_available_providers())
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.use_deterministic_compute = True
        try:
            self._session: Any = onnxruntime.InferenceSession(data, options, providers=[provider])
        except Exception as error:  # onnxruntime has an exception for each of its faults
            reason = str(error).rpartition(" : ")[2].strip().partition("\n")[0].rstrip(".")
            raise WeightsError(
                f"{path} isn't a readable ONNX file: {reason}.",
                "Export it again, with its weights in the same file.",
            ) from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise UsageError(
                f"{path} has {len(inputs)} inputs and {len(outputs)} outputs.",
                "Export a network from one image to one image.",
            )
        shape, kind = inputs[0].shape, inputs[0].type
        if len(shape) != 4 or kind not in _TYPES or (shape[1] not in (1, 3) and _whole(shape[1])):
            raise UsageError(
                f"{path} takes {kind} of the shape {shape}.",
                "Export a network that takes float of (1, channels, height, width), 1 or 3 "
                "channels.",
            )
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self._name, self._dtype = inputs[0].name, _TYPES[kind]
        height, width = (int(side) if _whole(side) else None for side in shape[2:])
        if (height is None) != (width is None):
            raise UsageError(
                f"{path} fixes one side of the image alone: {shape}.",
                "Export it with both sides free.",
            )
        self.fixed = None if height is None or width is None else (height, width)

    def forward(self, low: Tensor) -> Tensor:
        """low: (N, C, h, w); returns (N, C, scale h, scale w) in its dtype, on its device."""
        given = low.to("cpu", self._dtype).contiguous().numpy()
        (made,) = self._session.run(None, {self._name: given})
        return torch.from_numpy(made).to(low.device, low.dtype)


def initializer_count(data: bytes) -> int | None:
    """The numbers in fp32 or fp16 that an ONNX file holds; None where the package onnx is missing.

    An export folds batch norm into the convolutions before it, and may keep constants here.
    """
    try:
        import onnx
    except ImportError:
        return None
    held = onnx.load_model_from_string(data).graph.initializer
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    sizes: list[int] = [math.prod(t.dims) for t in held if t.data_type in floats]
    return sum(sizes)


def _whole(side: object) -> bool:
    return isinstance(side, int) and side > 0


def _provider(path: Path, device: str, available: list[str]) -> str | tuple[str, dict[str, str]]:
    """Where onnxruntime computes, with the settings under which fp32 is fp32."""
    if not device.startswith("cuda"):
        return "CPUExecutionProvider"
    if "CUDAExecutionProvider" not in available:
        raise UsageError(
            f"onnx:{path} can't run on {device}: this onnxruntime has no CUDA.",
            "Install onnxruntime-gpu in its place, or use the device cpu.",
        )
    number = device.partition(":")[2] or "0"
    return "CUDAExecutionProvider", {
        "device_id": number,
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
    }
