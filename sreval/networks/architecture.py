"""Networks by name: what a recipe asks for and what a weight file says it holds.

A recipe or a card is read without torch, and its parameters are counted: only `build` imports it,
and a user's own code.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from sreval.config import FieldError

if TYPE_CHECKING:
    from torch import nn

Colour = Literal["rgb", "luma"]
Scale = Annotated[int, Field(ge=1, le=16)]
Blocks = Annotated[int, Field(ge=1, le=1024)]
Channels = Annotated[int, Field(ge=1, le=4096)]
CodeName = Annotated[str, Field(pattern=r"^python:[\w.-]+:[\w.<>]+$", max_length=300)]
"""`python:module:name`, on the import path or in the current folder."""


def _as_json(given: object) -> object:
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(
            "it may hold texts, finite numbers, switches, lists and tables alone"
        ) from None
    return given


Arguments = Annotated[dict[str, Any], BeforeValidator(_as_json)]


class ModelFile(StrEnum):
    """The files in the folder of a model, or of a run."""

    RECIPE = "recipe.toml"
    WEIGHTS = "weights.safetensors"

    BEST = "best.safetensors"
    """The best weights of a run by its validation, beside the last ones."""

    CARD = "card.md"
    """What published weights are, their SHA-256 included."""


class _Architecture(BaseModel):
    """One network of sreval's and its arguments; `build` makes it.

    `colour` is what it reads and writes, `input_range` and `output_range` the values it means.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    own: ClassVar[bool] = False
    colour: ClassVar[Colour] = "luma"
    input_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    output_range: ClassVar[tuple[float, float]] = (0.0, 1.0)


def _convolution(channels: int, maps: int, side: int) -> int:
    """Parameters of a convolution with its bias."""
    return channels * maps * side**2 + maps


class SRResNetArchitecture(_Architecture):
    """See `sreval.networks.srresnet`."""

    colour: ClassVar[Colour] = "rgb"
    output_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    name: Literal["srresnet"] = "srresnet"
    """The network."""
    scale: Literal[2, 3, 4] = 4
    """The upscaling factor."""
    depth: Blocks = 16
    """Residual blocks."""
    skips: bool = True
    """Whether the blocks have skip connections."""
    channels: Channels = 64
    """Feature maps."""

    @property
    def parameters(self) -> int:
        """As `parameter_count` of `build`."""
        c = self.channels
        normed = _convolution(c, c, 3) + 2 * c  # batch norm's factors and offsets
        prelu = 1
        steps = (2, 2) if self.scale == 4 else (self.scale,)
        upsampling = sum(_convolution(c, step**2 * c, 3) + prelu for step in steps)
        ends = _convolution(3, c, 9) + prelu + _convolution(c, 3, 9)
        return ends + self.depth * (2 * normed + prelu) + normed + upsampling

    def build(self) -> nn.Module:
        """A new network, initialised from torch's random state."""
        from sreval.networks.srresnet import SRResNet

        return SRResNet(self.depth, self.skips, self.channels, self.scale)


class SRCNNArchitecture(_Architecture):
    """See `sreval.networks.srcnn`."""

    name: Literal["srcnn"] = "srcnn"
    """The network."""
    scale: Scale = 4
    """The upscaling factor."""
    mapping: Literal[1, 5] = 5
    """Side of the second layer's filters."""

    @property
    def parameters(self) -> int:
        """As `parameter_count` of `build`."""
        last = _convolution(32, 1, 5)
        return _convolution(1, 64, 9) + _convolution(64, 32, self.mapping) + last

    def build(self) -> nn.Module:
        """A new network, initialised from torch's random state."""
        from sreval.networks.srcnn import SRCNN

        return SRCNN(self.mapping, self.scale)


class ESPCNArchitecture(_Architecture):
    """See `sreval.networks.espcn`."""

    input_range: ClassVar[tuple[float, float]] = (-0.5, 0.5)
    output_range: ClassVar[tuple[float, float]] = (-0.5, 0.5)

    name: Literal["espcn"] = "espcn"
    """The network."""
    scale: Scale = 4
    """The upscaling factor."""

    @property
    def parameters(self) -> int:
        """As `parameter_count` of `build`."""
        last = _convolution(32, self.scale**2, 3)
        return _convolution(1, 64, 5) + _convolution(64, 32, 3) + last

    def build(self) -> nn.Module:
        """A new network, initialised from torch's random state."""
        from sreval.networks.espcn import ESPCN

        return ESPCN(self.scale)


class DRCNArchitecture(_Architecture):
    """See `sreval.networks.drcn`."""

    name: Literal["drcn"] = "drcn"
    """The network."""
    scale: Scale = 4
    """The upscaling factor."""
    recursions: Blocks = 16
    """How often the one layer is applied."""
    channels: Channels = 256
    """Feature maps."""

    @property
    def parameters(self) -> int:
        """As `parameter_count` of `build`."""
        c = self.channels
        ends = _convolution(1, c, 3) + _convolution(c, 1, 3)
        return ends + 3 * _convolution(c, c, 3) + self.recursions  # a weight for each output

    def build(self) -> nn.Module:
        """A new network, initialised from torch's random state."""
        from sreval.networks.drcn import DRCN

        return DRCN(self.recursions, self.channels, self.scale)


class OwnArchitecture(BaseModel):
    """A network of the user's own: its class, and what it takes and returns.

    It gets (N, C, h, w) and returns (N, C, scale h, scale w). `build` imports its code, so it is
    for a network that the user's recipe or command names, never for what a file alone says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    own: ClassVar[bool] = True

    name: CodeName
    """`python:module:Class` of a torch.nn.Module, on the import path or in the current folder."""
    scale: Scale = 4
    """The upscaling factor."""
    colour: Colour = "rgb"
    """Three channels, or MATLAB's luma, a colour image keeping its chroma by bicubic."""
    input_range: tuple[float, float] = (0.0, 1.0)
    """The values of black and white that it takes."""
    output_range: tuple[float, float] = (0.0, 1.0)
    """Those that it returns."""
    multiple: int = Field(default=1, ge=1, le=1024)
    """Height and width of an image are padded to multiples of it by reflection; a crop must be
    one."""
    arguments: Arguments = Field(default_factory=dict)
    """The class's arguments, by name."""

    @model_validator(mode="after")
    def _ends_rise(self) -> Self:
        for field in ("input_range", "output_range"):
            black, white = getattr(self, field)
            if black >= white:
                raise FieldError("its second end must be above its first", field)
        return self

    @property
    def parameters(self) -> int:
        """As `parameter_count` of `build`."""
        return parameter_count(self.build())

    def build(self) -> nn.Module:
        """A new network, initialised from torch's random state; raises as `own.make` does."""
        from sreval.networks.own import make

        return make(self.name, self.arguments)


_SHIPPED = ("srresnet", "srcnn", "espcn", "drcn")
_OWN = "python:module:Class"


def _kind(given: object) -> str | None:
    """Which network a table, or an architecture, is of."""
    name = given.get("name") if isinstance(given, dict) else getattr(given, "name", None)
    if isinstance(name, str) and name.startswith("python:"):
        return _OWN
    return name if name in _SHIPPED else None


Architecture = Annotated[
    Annotated[SRResNetArchitecture, Tag("srresnet")]
    | Annotated[SRCNNArchitecture, Tag("srcnn")]
    | Annotated[ESPCNArchitecture, Tag("espcn")]
    | Annotated[DRCNArchitecture, Tag("drcn")]
    | Annotated[OwnArchitecture, Tag(_OWN)],
    Discriminator(
        _kind,
        custom_error_type="union_tag_invalid",
        custom_error_context={
            "discriminator": "'name'",
            "tag": "",
            "expected_tags": ", ".join(f"'{name}'" for name in (*_SHIPPED, _OWN)),
        },
    ),
]


def parameter_count(network: nn.Module) -> int:
    """Trainable numbers in a network, batch norm's factor and offset among them."""
    return sum(p.numel() for p in network.parameters())
