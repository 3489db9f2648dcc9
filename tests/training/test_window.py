"""The window: where each photograph lies and when, from the definition; and the same after all."""

from __future__ import annotations

import re
import threading
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sreval.errors import DataError, ImageError
from sreval.images.degradations import open_degradation
from sreval.images.degrade import degrade
from sreval.networks.architecture import SRResNetArchitecture
from sreval.training.packs import Pack, open_pack
from sreval.training.recipe import Data
from sreval.training.sampler import Sampler
from sreval.training.versions import Versions, drawn_anew
from sreval.training.window import Schedule, Window, how_many_ahead, least_room

CPU = torch.device("cpu")


@pytest.fixture
def pack(photographs: Path) -> Pack:
    return open_pack([photographs], 4)


def sampler_of(pack: Pack, seed: int = 5, **data: Any) -> Sampler:
    """A window of 0.08 megapixels of six photographs with 0.12; it holds two and one ahead."""
    given = {"crop": 32, "batch": 1, "window": 0.08, "crops_per_photograph": 2} | data
    return Sampler(pack, Data.model_validate(given), SRResNetArchitecture(), CPU, seed)


def named_window(error: DataError) -> float:
    """The window that a remedy names."""
    found = re.search(r"'data\.window': '?([\d.]+)", error.remedy)
    assert found
    return float(found[1])


def same(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def schedules() -> list[Schedule]:
    """Of all kinds: one photograph or many, much of them in the window or little."""
    drawn = np.random.default_rng(0)
    made = []
    for _ in range(40):
        sizes = drawn.integers(1, 60, drawn.integers(2, 30)).tolist()
        batch = int(drawn.integers(1, 1 + len(sizes) // 2))
        least, total = least_room(sizes, batch), sum(sizes)
        if drawn.uniform() < 0.3 or least >= total:
            ahead = how_many_ahead(sizes, total)
            room = total + sum(sorted(sizes)[-ahead:])
        else:
            room = int(drawn.integers(least, total))
            ahead = how_many_ahead(sizes, room)
        seed = int(drawn.integers(2**63))
        made.append(Schedule(sizes, room, ahead, batch, int(drawn.integers(1, 9)), seed))
    return made


def test_the_schedule_is_that_of_a_queue() -> None:
    """Photographs stand in a queue; those ahead of their time have their room, too."""
    for s in schedules():
        order = [s.photograph(k) for k in range(6 * s.count)]
        held: deque[int] = deque()
        entered = 0
        # at first as many as there's room for
        while entered < s.count:
            ahead = order[: entered + 1 + s.ahead]
            if sum(int(s.sizes[one]) for one in ahead) > s.room:
                break
            held.append(entered)
            entered += 1
        first, step = entered, 0
        while entered + s.ahead < len(order):
            promised = range(entered, entered + s.ahead)
            while len(held) > s.count or (
                sum(int(s.sizes[order[k]]) for k in (*held, *promised)) > s.room
            ):
                held.popleft()
            assert s.entered(step) == entered
            assert s.oldest(entered) == (held[0] if held else entered)
            assert len({order[k] for k in held}) == len(held) >= s.batch
            ring = np.full(s.room + max(s.sizes), -1)
            for k in (*held, *promised):
                place = ring[s.start(k) : s.start(k) + s.sizes[order[k]]]
                assert len(place) == s.sizes[order[k]]
                assert (place == -1).all()
                place[:] = k
            assert len(held) + s.ahead <= s.slots
            step += 1
            while entered < first + step * s.batch // s.crops:
                held.append(entered)
                entered += 1


def test_each_pass_holds_each_photograph_once_and_another_order() -> None:
    for s in schedules():
        passes = [[s.photograph(q * s.count + k) for k in range(s.count)] for q in range(4)]
        assert all(sorted(one) == list(range(s.count)) for one in passes)
    s = Schedule([10] * 400, 1000, 8, 4, 16, seed=1)
    passes = [[s.photograph(q * 400 + k) for k in range(400)] for q in range(3)]
    assert passes[0] != passes[1] != passes[2]
    other = Schedule([10] * 400, 1000, 8, 4, 16, seed=2)
    assert [other.photograph(k) for k in range(400)] != passes[0]


def test_of_each_photograph_as_many_crops_are_cut_as_was_asked() -> None:
    """16 crops a photograph, 4 an update: in 4,000 updates 1,000 enter, and with them two and a
    half passes of 400."""
    s = Schedule([10] * 400, 1000, 8, 4, 16, seed=1)
    assert s.entered(4000) - s.entered(0) == 1000
    assert s.entered(0) - s.oldest(s.entered(0)) == 1000 // 10 - 8


def test_the_least_room_is_the_least() -> None:
    for batch in (1, 3, 7):
        room = least_room([10] * 50, batch)
        assert room == 10 * (batch + how_many_ahead([10] * 50, room))
        assert room - 10 < 10 * (batch + how_many_ahead([10] * 50, room - 10))


@pytest.mark.parametrize("more", [{}, {"smaller": (0.5, 2 / 3), "window": 0.11}])
def test_slots_hold_the_photographs_of_the_schedule(pack: Pack, more: dict[str, Any]) -> None:
    sampler = sampler_of(pack, **more)
    window, versions = sampler.window, Versions(pack, sampler.data, list(range(6)), 5)
    assert window is not None
    schedule = window.schedule
    for step in (0, 1, 2, 7, 8, 30, 31, 90):
        sampler.advance(step)
        entered = schedule.entered(step)
        wanted = {
            (schedule.photograph(k), fraction)
            for k in range(schedule.oldest(entered), entered)
            for fraction in versions.fractions
            if versions.shape(schedule.photograph(k), fraction)
        }
        found: set[tuple[int, float]] = set()
        for slot in (window.weights > 0).nonzero()[:, 0].tolist():
            for member, fraction in wanted - found:
                high, low = versions.made(member, fraction)
                shape = (low.shape[0], low.shape[1])
                if tuple(window.shapes[slot].tolist()) != shape:
                    continue
                start = int(window.starts[slot])
                held = window.low[start : start + low.shape[0] * low.shape[1]]
                large = window.high[16 * start : 16 * (start + len(held))]
                if np.array_equal(held.numpy(), low.reshape(-1, 3)):
                    assert np.array_equal(large.numpy(), high.reshape(-1, 3))
                    assert float(window.weights[slot]) == (shape[0] - 7) * (shape[1] - 7)
                    found.add((member, fraction))
                    break
        assert found == wanted
    sampler.close()


@pytest.mark.parametrize("degraded", [{}, {"degrade": "dn:sigma=9"}])
def test_a_run_resumed_at_any_update_has_the_same_batches(
    pack: Pack, degraded: dict[str, Any]
) -> None:
    whole = sampler_of(pack, views=8, **degraded)
    states, batches = [], []
    for step in range(24):
        whole.advance(step)
        states.append(whole.random.get_state())
        batches.append(whole.batch())
    whole.close()
    for step in range(0, 24, 3):
        resumed = sampler_of(pack, views=8, **degraded)
        resumed.random.set_state(states[step])
        for later in (step, step + 1, step + 2):
            resumed.advance(later)
            assert same(resumed.batch(), batches[later])
        resumed.close()


def test_late_photographs_change_nothing_but_the_time(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batches() -> tuple[list[tuple[torch.Tensor, torch.Tensor]], float]:
        sampler = sampler_of(pack)
        found = []
        for step in range(12):
            sampler.advance(step)
            found.append(sampler.batch())
        sampler.close()
        return found, sampler.waited

    in_time, _ = batches()
    wanted: dict[tuple[int, int], threading.Event] = defaultdict(threading.Event)
    over = threading.Event()
    all_made, enter, close = Versions.all_made, Window._enter, Window.close

    def late(self: Versions, member: int, number: int) -> object:
        while not (wanted[member, number].wait(0.01) or over.is_set()):
            continue
        return all_made(self, member, number)

    def asked(self: Window, entrance: int, filling: bool) -> None:
        passed = entrance // self.schedule.count
        wanted[self.schedule.photograph(entrance), passed].set()
        enter(self, entrance, filling)

    def ended(self: Window) -> None:
        over.set()
        close(self)

    monkeypatch.setattr(Versions, "all_made", late)
    monkeypatch.setattr(Window, "_enter", asked)
    monkeypatch.setattr(Window, "close", ended)
    too_late, waited = batches()
    assert all(map(same, in_time, too_late))
    assert waited > 0


def test_a_device_gathers_what_the_host_cuts(pack: Pack) -> None:
    sampler = sampler_of(pack, smaller=(0.5,), batch=2, window=0.1)
    sampler.advance(9)
    images = torch.tensor([slot for slot, weight in enumerate(sampler.weights) if weight > 0])
    corners = (torch.rand(len(images), 2) * (sampler.shapes[images] - 7)).long()
    for view in range(8):
        turns = torch.tensor([[view & 1, view & 2, view & 4]]).bool().expand(len(images), 3)
        for factor in (1, 4):
            cut = sampler._cut(images, corners, turns, factor)
            assert torch.equal(cut, sampler._gathered(images, corners, turns, factor))
    sampler.close()


def test_all_pixels_on_a_device_are_those_of_the_pack(pack: Pack) -> None:
    data = Data(crop=32, batch=3, smaller=(0.5,), views=8)
    host, device = (Sampler(pack, data, SRResNetArchitecture(), CPU, 2) for _ in range(2))
    device._copy_all()
    device._cut = device._gathered  # type: ignore[method-assign]
    for _ in range(9):
        assert same(host.batch(), device.batch())


def test_a_window_that_holds_everything_is_none(pack: Pack) -> None:
    assert sampler_of(pack, window=0.2).window is None
    assert sampler_of(pack, window=0).window is None


@pytest.mark.parametrize("window", [0, 0.08, 0.13])
def test_each_entrance_is_degraded_anew_as_by_hand(pack: Pack, window: float) -> None:
    recipe = open_degradation("dn:sigma=20")
    sampler = sampler_of(pack, seed=3, degrade="dn:sigma=20", window=window, batch=2)
    assert sampler.window is not None
    schedule = sampler.window.schedule
    drawn = set()
    for step in range(0, 21, 4):
        sampler.advance(step)
        entered = schedule.entered(step)
        assert window or entered - schedule.oldest(entered) == 6
        for k in range(schedule.oldest(entered), entered):
            image = pack.image(schedule.photograph(k))
            low, _ = degrade(image, drawn_anew(recipe, 3, k // 6), 4)
            start = schedule.start(k)
            held = sampler.low[start : start + low.shape[0] * low.shape[1]].numpy()
            assert np.array_equal(held.reshape(low.shape), low)
            drawn.add((schedule.photograph(k), held.tobytes()))
    sampler.close()
    # some were there more than once, and never alike
    assert len(drawn) > len({photograph for photograph, _ in drawn})


def test_a_degradation_that_draws_nothing_needs_no_window(pack: Pack) -> None:
    sampler = sampler_of(pack, degrade="bd:sigma=2", window=0, smaller=(0.5,))
    recipe = open_degradation("bd:sigma=2")
    assert sampler.window is None
    for place in range(len(sampler.weights)):
        high, low = sampler._image(place, 4), sampler._image(place, 1)
        assert np.array_equal(low, degrade(np.array(high), recipe, 4)[0])


@pytest.mark.parametrize(
    ("window", "batch", "told"),
    [
        (0.01, 1, r"data\.window = 0\.01 can't hold .*\.png, which has 0\.02"),
        (0.08, 4, r"can't always hold 4 photographs for a batch"),
    ],
)
def test_a_window_that_is_too_small(pack: Pack, window: float, batch: int, told: str) -> None:
    with pytest.raises(DataError, match=told) as raised:
        sampler_of(pack, window=window, batch=batch)
    sampler = sampler_of(pack, window=named_window(raised.value), batch=batch)
    for step in range(40):
        sampler.advance(step)
        assert int((sampler.weights > 0).sum()) >= batch
    sampler.close()


def test_one_photograph_needs_no_window_and_fits_into_none(pack: Pack) -> None:
    data = Data(crop=32, batch=1, window=0.001)
    with pytest.raises(DataError, match=r"data\.window = 0\.001 can't hold"):
        Sampler(pack, data, SRResNetArchitecture(), CPU, 0, without=range(5))
    whole = data.model_copy(update={"window": 1.0})
    assert Sampler(pack, whole, SRResNetArchitecture(), CPU, 0, without=range(5)).window is None


def test_too_little_memory_names_the_window_that_fits(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.training.sampler.free_memory", lambda _: 1_000_000)
    with pytest.raises(DataError, match="free memory of cpu") as raised:
        sampler_of(pack, degrade="dn", window=0, smaller=[0.99, 0.98])
    fits = named_window(raised.value)
    assert 0 < fits < 1_000_000 / 3e6
    sampler_of(pack, degrade="dn", window=fits, smaller=[0.99, 0.98])


@pytest.mark.parametrize(
    "fault", [ImageError("it is damaged.", "Mend it."), OSError(5, "Input/output error")]
)
def test_a_photograph_that_cannot_be_read_is_named(
    pack: Pack, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    sampler = sampler_of(pack)
    sampler.advance(0)
    assert sampler.window is not None
    bad = sampler.window.schedule.photograph(sampler.window.schedule.entered(0) + 1)
    image = Pack.image

    def read(self: Pack, place: int) -> object:
        if place == bad:
            raise fault
        return image(self, place)

    monkeypatch.setattr(Pack, "image", read)
    with pytest.raises(DataError, match=pack.photographs[bad].file):
        deque(map(sampler.advance, range(9)))
    sampler.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("photographs")]


def test_a_window_never_goes_back(pack: Pack) -> None:
    sampler = sampler_of(pack)
    sampler.advance(9)
    with pytest.raises(ValueError, match="forwards"):
        sampler.advance(3)
    sampler.close()
