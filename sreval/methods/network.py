"""A network as a method, wherever it came from: run whole or in tiles, in one way for all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sreval.devices import exact_fp32
from sreval.errors import ImageError, SrevalError, UsageError, is_out_of_memory, option
from sreval.images.datasets import Item
from sreval.images.io import Pixels
from sreval.methods.base import LEAST_TILE, SCALES, Running, UInt8, Upscaler
from sreval.methods.declarations import Declarations

if TYPE_CHECKING:
    from torch import nn

    from sreval.networks.export import Checked, Form
    from sreval.networks.inference import Check, Inference
    from sreval.networks.inference import Pixels as Kind

NOT_STATED = "not stated in the file"
"""Of a network's licence."""

_TRIALS = (16, 64)
"""Sides of the trial images: small, and a multiple of the windows and strides of most networks."""

_SHIFT = 20 / 255
"""An output farther from its image than this is told. Networks for noisy or blurred images stay
below: the means of 8 x 8 pixels hold little of either."""


class NetworkUpscaler(Upscaler):
    """A network that ``Inference`` runs; ``sreval.methods.sources`` makes it.

    ``identity`` is all that makes it what it is but for its settings; ``facts`` what is known of
    it; ``files`` the SHA-256 of its files by absolute path; ``odd`` what a user must be told.
    """

    def __init__(
        self,
        inference: Inference,
        *,
        name: str,
        specification: str,
        settings: str,
        identity: list[object],
        facts: dict[str, Any],
        files: dict[str, str],
        weights_sha256: str,
        parallel: bool,
        known: bool = True,
        odd: Sequence[str] = (),
    ) -> None:
        self._inference, self._identity = inference, identity
        self._facts, self._files, self._odd = facts, files, odd
        self.name, self.specification, self.settings = name, specification, settings
        self.weights_sha256, self.parallel, self.known = weights_sha256, parallel, known
        self.scale = inference.interface.scale
        self._in_torch = facts["network"] != "onnx"
        if self._in_torch:
            self.torch_device = str(inference.device)

    def on_crops(self) -> Upscaler:
        """Itself."""
        return self

    def identity(self) -> list[object]:
        """What it is made of, wherever its files lie, and the settings."""
        return [*self._identity, self.settings]

    def files(self) -> dict[str, str]:
        """Its weight file, or the file that holds it."""
        return self._files

    def facts(self, measure: bool = False) -> dict[str, Any]:
        """See ``Upscaler.facts``; ``reach`` once it was measured, as a run in tiles does."""
        shown = self._inference.interface
        found = {
            **self._facts,
            "scale": shown.scale,
            "colour": shown.colour,
            "range": list(shown.input_range),
            "output_range": list(shown.output_range),
            "multiple": shown.multiple,
            "least": shown.least,
            "overlap": shown.overlap,
        }
        if shown.fixed:
            found["fixed_size"] = list(shown.fixed)
        if shown.scale not in SCALES:
            found["problem"] = " ".join(self._wrong_scale())
        if measure or self._inference.tiled:
            found |= {"reach": self._inference.reach, "tiles": self._tiles()}
        return found

    def multiply_adds(self, height: int, width: int) -> int | None:
        """See ``sreval.networks.cost``; None for ONNX, which torch doesn't run."""
        from sreval.networks.cost import multiply_adds

        return multiply_adds(self._inference, height, width) if self._in_torch else None

    def exported(self, form: Form) -> Checked:
        """See ``Upscaler.exported``."""
        from sreval.networks.export import exported
        from sreval.networks.weights import photograph_licences

        self.require_scale(self.scale or 0)
        if not self._in_torch:
            raise UsageError(f"{self.name} is a network in ONNX already.", "Copy its file.")
        facts = {"network": _told(self._facts["network"])}
        licence = self._facts.get("licence", NOT_STATED)
        if trained := [one for file in self._files for one in photograph_licences(Path(file))]:
            licence = f"as those of its training photographs allow: {'; '.join(trained)}"
        if licence != NOT_STATED:
            facts["licence"] = licence
        if self.weights_sha256:
            facts["weights_sha256"] = self.weights_sha256
        inference = self._inference
        return exported(inference.defined, inference.interface, form, self.name, facts)

    @property
    def note(self) -> str:
        """What is odd in its images: tiles, padding to a fixed size, other brightness."""
        inference, said = self._inference, list(self._odd)
        if inference.tiled and not self._exact():
            said.append(f"tiles {self._tiles()}")
        if inference.padded:
            height, width = inference.interface.fixed or (0, 0)
            said.append(
                f"images smaller than {height}x{width} were padded by reflection, which may change "
                "pixels near their right and lower border"
            )
        if inference.shift > _SHIFT:
            cause = "a wrong range" if inference.declarable else "damaged weights"
            said.append(
                "in brightness or colour its images are far from what they were made of, by up to "
                f"{255 * min(inference.shift, 1):.0f} of 255 levels: that is what {cause} would do"
            )
        return "; ".join(said)

    def observed(self) -> dict[str, Any]:
        """Whether any image was tiled or padded, and how far it was from what it was made of."""
        found = self._inference
        return {"tiled": found.tiled, "padded": found.padded, "shift": found.shift}

    def observe(self, observed: Mapping[str, Any]) -> None:
        """What holds of any image holds here."""
        for name, value in observed.items():
            setattr(self._inference, name, max(value, getattr(self._inference, name)))

    def _exact(self) -> bool:
        reach = self._inference.reach
        return reach is not None and reach <= self._inference.interface.overlap

    def _tiles(self) -> str:
        """What tiles give, in words."""
        from sreval.networks.inference import FARTHEST

        overlap, reach = self._inference.interface.overlap, self._inference.reach
        if self._exact():
            return f"give what the whole image gives: it sees {reach} LR pixels around"
        if self._inference.interface.fixed:
            return "have the only size that it takes, and may differ from the whole image"
        if not self._inference.measured:
            return "may differ from the whole image: how far it sees can't be measured"
        sees = f"{reach}" if reach else f"{FARTHEST} or more"
        return (
            f"differ from the whole image: it sees {sees} LR pixels around, and tiles "
            f"overlap by {overlap}"
        )

    def upscale(self, lr: UInt8, scale: float, item: Item) -> UInt8:
        """The network's SR image, rounded to uint8; a grey image stays grey."""
        return self._made(lr, f"{item.dataset}/{item.image}")

    def enlarge(self, pixels: Pixels, scale: float) -> Pixels:
        """The network's SR image in the picture's own type. Raises UsageError at another scale."""
        self.require_scale(scale)
        if pixels.dtype == np.uint16:
            return self._made(pixels.astype(np.uint16, copy=False), "the picture")
        return self._made(pixels.astype(np.uint8, copy=False), "the picture")

    def _made(self, pixels: Kind, which: str) -> Kind:
        try:
            return self._inference.upscale([pixels], self.told)[0]
        except SrevalError:
            raise
        except Exception as error:  # a network of others may raise anything
            if is_out_of_memory(error):
                tile = self._inference.tile
                smaller = "smaller tiles" if tile else "tiles"
                side = max(LEAST_TILE, (tile or 512) // 2)
                raise ImageError(
                    f"{self.name} ran out of memory on {which}, {pixels.shape[1]}x"
                    f"{pixels.shape[0]} pixels.",
                    f"Compute it in {smaller}: {option('--tile')} {side}.",
                ) from error
            raise ImageError(
                f"{self.name} failed on {which}: {_reason(error)}.",
                self._inference.size_remedy,
            ) from error


def _told(network: object) -> str:
    """What a network is, in words or as JSON."""
    return network if isinstance(network, str) else json.dumps(network)


def ready(
    network: nn.Module,
    name: str,
    declared: Declarations,
    running: Running,
    fixed: tuple[int, int] | None = None,
    stated: bool = False,
) -> Inference:
    """A network that isn't sreval's own, made ready; what isn't declared is found by a trial.

    Its range is guessed at where nothing is declared; one that the file states is right.
    Raises UsageError where the trial fails, or finds another scale than the declared one.
    """
    from sreval.networks.inference import OVERLAP, Interface

    if fixed and declared.fixed not in (None, fixed):
        raise UsageError(
            f"{name} takes images of {fixed[0]}x{fixed[1]} alone, not as declared in fixed=.",
            "Leave the declaration out.",
        )
    fixed = fixed or declared.fixed
    colours = [declared.colour] if declared.colour else ["rgb", "grey"]
    scale, colour = _tried(network, name, colours, declared, running, fixed)
    if not declared.colour and colour == "grey":
        raise UsageError(
            f"{name} takes one channel, and nothing says which.",
            "Declare colour=luma (MATLAB's Y) or colour=grey (each of R, G and B by itself).",
        )
    if declared.scale not in (None, scale):
        raise UsageError(
            f"{name} is declared to enlarge {declared.scale} times, but it enlarges {scale} times.",
            "Leave the declaration out.",
        )
    overlap = OVERLAP if declared.overlap is None else declared.overlap
    interface = Interface(
        scale,
        cast("Any", colour),
        declared.range,
        declared.output_range or declared.range,
        min(overlap, min(fixed) // 4) if fixed else overlap,
        multiple=declared.multiple,
        least=declared.least,
        fixed=fixed,
    )
    check: Check = "range"
    if stated:
        check = "finite"
    elif declared.model_fields_set & {"range", "output_range"}:
        check = "shift"
    return foreign(network, interface, running, check, declarable=True)


def foreign(
    network: nn.Module,
    interface: Any,
    running: Running,
    check: Check = "range",
    declarable: bool = False,
) -> Inference:
    """How a network that isn't sreval's own is run: one image at a time, its output checked."""
    from sreval.networks.inference import Inference

    return Inference(
        network,
        interface,
        device=running.device,
        precision=running.precision,
        tile=running.tile,
        batch=1,
        check=check if running.check_range else "nothing",
        declarable=declarable,
    )


def settings_of(inference: Inference, running: Running) -> str:
    """What else decides an image, in words: the precision, the tiles."""
    shown = inference.interface
    if shown.fixed:
        sides = f"{shown.fixed[0]}x{shown.fixed[1]}"
        return f"{running.precision}, tiles of {sides}, overlap {shown.overlap}"
    if running.tile is None:
        return running.precision
    return f"{running.precision}, tiles of {running.tile}, overlap {shown.overlap}"


def identity_of(inference: Inference, *what: object) -> list[object]:
    """``what`` a network is made of, and its interface."""
    return ["network", *what, asdict(inference.interface)]


def _tried(
    network: nn.Module,
    name: str,
    colours: list[Any],
    declared: Declarations,
    running: Running,
    fixed: tuple[int, int] | None,
) -> tuple[int, str]:
    """The scale and the colour with which the network runs on a small image."""
    import torch

    dtype = torch.bfloat16 if running.precision == "bf16" else torch.float32
    first: Exception | None = None
    failed = ""
    for colour in colours:
        channels = 3 if colour in ("rgb", "bgr") else 1
        for trial in _TRIALS:
            side = declared.multiple * math.ceil(max(trial, declared.least) / declared.multiple)
            low = torch.full((1, channels, *(fixed or (side, side))), sum(declared.range) / 2)
            try:
                network = network.to(running.device, dtype)
                with torch.inference_mode(), exact_fp32():
                    made = network(low.to(running.device, dtype))
            except Exception as error:  # a network of others may raise anything
                if first is None:
                    first = error
                    failed = f"{channels}x{low.shape[2]}x{low.shape[3]}"
                continue
            return _scale(made, name, low.shape), colour
    raise UsageError(
        f"{name} fails on a trial image of {failed} in {running.precision}: "
        f"{_reason(first) if first else ''}.",
        "Declare what it takes: colour=, multiple=, least=, or for one size alone fixed=."
        + (" Or use fp32." if running.precision != "fp32" else ""),
    ) from first


def _scale(made: Any, name: str, low: tuple[int, ...]) -> int:
    """How many times as large as the trial image its result is."""
    import torch

    if not isinstance(made, torch.Tensor):
        raise UsageError(
            f"{name} returns a {type(made).__name__}, not a tensor.",
            "Give a module that returns its image alone.",
        )
    shape = tuple(made.shape)
    if len(shape) == 4 and shape[:2] == low[:2]:
        scale, rest = divmod(shape[2], low[2])
        if not rest and 1 <= scale <= 16 and shape[3] == scale * low[3]:
            return scale
    raise UsageError(
        f"{name} returns the shape {shape} for {tuple(low)}, which isn't the image enlarged by a "
        "whole number.",
        "It must take (1, channels, h, w) and return (1, channels, scale h, scale w).",
    )


def _reason(error: Exception) -> str:
    """The first line of what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # torch.jit writes its own stack first, the cause last
    text = lines[-1] if lines and "TorchScript interpreter" in lines[0] else "".join(lines[:1])
    text = text.removeprefix(f"{type(error).__name__}: ")
    return f"{type(error).__name__}: {text}".rstrip(":. ")
