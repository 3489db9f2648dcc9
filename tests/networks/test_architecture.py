"""What is said of a network without making it."""

from __future__ import annotations

import pytest
import torch

from sreval.networks.architecture import (
    Architecture,
    DRCNArchitecture,
    ESPCNArchitecture,
    OwnArchitecture,
    SRCNNArchitecture,
    SRResNetArchitecture,
    parameter_count,
)


@pytest.mark.parametrize(
    "architecture",
    [
        *(SRResNetArchitecture(scale=scale) for scale in (2, 3, 4)),
        SRResNetArchitecture(depth=3, skips=False, channels=5),
        *(SRCNNArchitecture(mapping=mapping) for mapping in (1, 5)),
        *(ESPCNArchitecture(scale=scale) for scale in (1, 3, 4)),
        DRCNArchitecture(),
        DRCNArchitecture(recursions=3, channels=7, scale=2),
        OwnArchitecture(name="python:torch.nn:Conv2d", arguments={
            "in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding": 1,
        }),
    ],
    ids=repr,
)  # fmt: skip
def test_parameters_are_those_of_the_network_that_is_built(architecture: Architecture) -> None:
    with torch.device("cpu" if architecture.own else "meta"):
        built = architecture.build()
    assert architecture.parameters == parameter_count(built)
