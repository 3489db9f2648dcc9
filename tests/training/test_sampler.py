"""Crops: pieces of the images, drawn as said, never of those left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from sreval.errors import DataError
from sreval.images.io import read_image
from sreval.images.resize import crop_to_multiple, downscale, imresize
from sreval.networks.architecture import ESPCNArchitecture, SRCNNArchitecture, SRResNetArchitecture
from sreval.training.packs import Photographs, open_pack
from sreval.training.recipe import Data
from sreval.training.sampler import Sampler

CPU = torch.device("cpu")
SHARED = os.environ.get("SREVAL_DATA", "")
"""As it was before a fixture hid it."""


@pytest.fixture
def pack(photographs: Path) -> Photographs:
    return open_pack([photographs], 4)


def crops_of(sampler: Sampler) -> tuple[np.ndarray, np.ndarray]:
    low, high = sampler.batch()
    return (
        (low * 255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8),
        ((high + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(np.uint8),
    )


@pytest.mark.parametrize("views", [1, 8])
def test_crops_are_pieces_of_the_images_and_of_their_bicubic(
    pack: Photographs, photographs: Path, views: Literal[1, 8]
) -> None:
    sampler = Sampler(pack, Data(crop=32, batch=4, views=views), SRResNetArchitecture(), CPU, 1)
    images = {
        p.file: np.ascontiguousarray(crop_to_multiple(read_image(photographs / p.file).pixels, 4))
        for p in pack.photographs
    }
    smalls = {name: downscale(image, 4) for name, image in images.items()}
    seen = set()
    for _ in range(8):
        for low, high in zip(*crops_of(sampler), strict=True):
            found = [
                (view, name, y, x)
                for view in range(8)
                for name, small in smalls.items()
                for y, x in places(small, turned(low, view))
            ]
            assert found
            assert any(
                np.array_equal(
                    images[name][4 * y : 4 * y + 32, 4 * x : 4 * x + 32], turned(high, view)
                )
                for view, name, y, x in found
            )
            seen |= {view for view, *_ in found}
    assert len(seen) == views


def turned(image: np.ndarray, view: int) -> np.ndarray:
    """One of a square's eight positions: a quarter turn up to three times, mirrored or not."""
    result: np.ndarray = np.rot90(image, view % 4)
    return result[:, ::-1] if view >= 4 else result


def test_images_left_out_are_never_drawn(pack: Photographs) -> None:
    arguments = (pack, Data(crop=32, batch=3), SRResNetArchitecture(), CPU, 3)
    sampler = Sampler(*arguments, without=(1, 4))
    whole = Sampler(*arguments)
    kept = torch.tensor([0, 2, 3, 5])
    assert torch.equal(sampler.shapes, whole.shapes[kept])
    for place, packed in enumerate(kept.tolist()):
        assert np.array_equal(sampler._image(place, 4), pack.image(packed))
    with pytest.raises(DataError, match=r"Only 2 images hold a crop .* without being kept aside"):
        Sampler(*arguments, without=(0, 1, 2, 3))


def places(image: np.ndarray, piece: np.ndarray) -> list[tuple[int, int]]:
    windows = np.lib.stride_tricks.sliding_window_view(image, piece.shape[:2], axis=(0, 1))
    same = (windows == piece.transpose(2, 0, 1)).all(axis=(2, 3, 4))
    return [(int(y), int(x)) for y, x in np.argwhere(same)]


def test_images_in_a_batch_are_distinct_and_drawn_by_their_area(pack: Photographs) -> None:
    sampler = Sampler(pack, Data(crop=32, batch=1), SRResNetArchitecture(), CPU, 3)
    counts = np.zeros(len(sampler.weights))
    seen: list[torch.Tensor] = []
    cut = sampler._cut

    def watch(images: torch.Tensor, *rest: object) -> torch.Tensor:
        seen.append(images)
        return cut(images, *rest)  # type: ignore[arg-type]

    sampler._cut = watch  # type: ignore[method-assign,assignment]
    for _ in range(1500):
        sampler.batch()
    np.add.at(counts, torch.cat(seen[::2]).numpy(), 1)
    wanted = (sampler.weights / sampler.weights.sum()).numpy() * 1500
    assert (np.abs(counts - wanted) < 5 * np.sqrt(wanted)).all()
    sampler.data = Data(crop=32, batch=6)
    seen.clear()
    sampler.batch()
    assert len(set(seen[0].tolist())) == 6


def test_stored_state_gives_the_same_batches(pack: Photographs) -> None:
    sampler = Sampler(pack, Data(crop=32, batch=3, views=8), SRResNetArchitecture(), CPU, 5)
    sampler.batch()
    state = sampler.random.get_state()
    first = sampler.batch()
    sampler.random.set_state(state)
    again = sampler.batch()
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_luma_networks_get_luma(pack: Photographs) -> None:
    low, high = Sampler(pack, Data(crop=32, batch=3), SRCNNArchitecture(), CPU, 5).batch()
    assert low.shape == (3, 1, 8, 8)
    assert high.shape == (3, 1, 32, 32)
    assert float(low.min()) >= 16 / 255 - 1e-6
    assert float(high.max()) <= 235 / 255 + 1e-6


def test_a_size_at_which_no_image_holds_a_crop(pack: Photographs) -> None:
    with pytest.raises(DataError, match=r"at 0\.001 of its size holds a crop of 32") as raised:
        Sampler(pack, Data(crop=32, batch=1, smaller=(0.001,)), ESPCNArchitecture(), CPU, 0)
    assert "data.smaller" in raised.value.remedy


def test_too_few_images_for_a_batch(pack: Photographs) -> None:
    with pytest.raises(DataError, match="batch takes 7"):
        Sampler(pack, Data(crop=32, batch=7), ESPCNArchitecture(), CPU, 0)
    with pytest.raises(DataError, match="crop of 160"):
        Sampler(pack, Data(crop=160, batch=1), ESPCNArchitecture(), CPU, 0)


def test_smaller_sizes_are_cut_from_too_and_never_those_of_an_image_left_out(
    pack: Photographs, photographs: Path
) -> None:
    data = Data(crop=32, batch=4, smaller=(0.5, 2 / 3))
    sampler = Sampler(pack, data, SRResNetArchitecture(), CPU, 1, without=(1, 4))
    images: dict[tuple[str, float], np.ndarray] = {}
    for place, photograph in enumerate(pack.photographs):
        if place not in (1, 4):
            image = crop_to_multiple(read_image(photographs / photograph.file).pixels, 4)
            images[photograph.file, 1.0] = image
            for size in data.smaller:
                small = imresize(image, size).astype(np.uint8)
                images[photograph.file, size] = crop_to_multiple(small, 4)
    held = {key: image for key, image in images.items() if min(image.shape[:2]) >= 32}
    assert len(sampler.weights) == len(held)
    assert {size for _, size in held} == {1.0, 0.5, 2 / 3}
    smalls = {key: downscale(np.ascontiguousarray(image), 4) for key, image in held.items()}
    seen = set()
    for _ in range(12):
        for low, high in zip(*crops_of(sampler), strict=True):
            found = [(key, *at) for key, small in smalls.items() for at in places(small, low)]
            exact = {
                key
                for key, y, x in found
                if np.array_equal(held[key][4 * y : 4 * y + 32, 4 * x : 4 * x + 32], high)
            }
            assert exact
            seen |= {size for _, size in exact}
    assert seen == {1.0, 0.5, 2 / 3}


def test_how_many_images_hold_a_crop_is_said_in_words(pack: Photographs) -> None:
    for left, told in ((5, "Only 1 image holds"), (6, "No image holds")):
        with pytest.raises(DataError, match=f"^{told} a crop of 32 pixels without"):
            Sampler(
                pack, Data(crop=32, batch=3), SRResNetArchitecture(), CPU, 3,
                without=tuple(range(left)),
            )  # fmt: skip


def test_the_shares_of_several_processes_are_the_batch_of_one(
    pack: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batch() -> torch.Tensor:
        data = Data(crop=32, batch=4, views=8)
        sampler = Sampler(pack, data, SRResNetArchitecture(), CPU, 1)
        sampler.batch()
        return sampler.batch()[1]

    whole = batch()
    monkeypatch.setattr("sreval.training.sampler.count", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr("sreval.training.sampler.rank", lambda rank=rank: rank)
        # every other one, so that a half of a share is a share of a half
        assert torch.equal(batch(), whole[rank::2])
