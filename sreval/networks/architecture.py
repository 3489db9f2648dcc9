"""Networks by name: what a recipe asks for and what a weight file says it holds.

A recipe or a card is read without torch: only `build` imports it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import nn

Colour = Literal["rgb", "luma"]
Scale = Annotated[int, Field(ge=1, le=16)]
Blocks = Annotated[int, Field(ge=1, le=1024)]
Channels = Annotated[int, Field(ge=1, le=4096)]


class ModelFile(StrEnum):
    """The files in the folder of a model, or of a run."""

    RECIPE = "recipe.toml"
    WEIGHTS = "weights.safetensors"

    BEST = "best.safetensors"
    """The best weights of a run by its validation, beside the last ones."""

    CARD = "card.md"
    """What published weights are, their SHA-256 included."""


class _Architecture(BaseModel):
    """One network and its arguments; `build` makes it.

    `colour` is what it reads and writes, `input_range` and `output_range` the values it means.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    colour: ClassVar[Colour] = "luma"
    input_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    output_range: ClassVar[tuple[float, float]] = (0.0, 1.0)


class SRResNetArchitecture(_Architecture):
    """See `sreval.networks.srresnet`."""

    colour: ClassVar[Colour] = "rgb"
    output_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    name: Literal["srresnet"] = "srresnet"
    """The network."""
    scale: Literal[4] = 4
    """The upscaling factor."""
    depth: Blocks = 16
    """Residual blocks."""
    skips: bool = True
    """Whether the blocks have skip connections."""
    channels: Channels = 64
    """Feature maps."""

    def build(self) -> nn.Module:
        """A new network, initialised from torch's random state."""
        from sreval.networks.srresnet import SRResNet

        return SRResNet(self.depth, self.skips, self.channels)


class SRCNNArchitecture(_Architecture):
    """See `sreval.networks.srcnn`."""

    name: Literal["srcnn"] = "srcnn"
    """The network."""
    scale: Scale = 4
    """The upscaling factor."""
    mapping: Literal[1, 5] = 5
    """Side of the second layer's filters."""

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

    def build(self) -> nn.Module:
        """A new network, initialised from torch's random state."""
        from sreval.networks.drcn import DRCN

        return DRCN(self.recursions, self.channels, self.scale)


Architecture = Annotated[
    SRResNetArchitecture | SRCNNArchitecture | ESPCNArchitecture | DRCNArchitecture,
    Field(discriminator="name"),
]


def parameter_count(network: nn.Module) -> int:
    """Trainable numbers in a network, batch norm's factor and offset among them."""
    return sum(p.numel() for p in network.parameters())
