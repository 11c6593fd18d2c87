"""Ceilings: what is measured of a device whose every call takes as long as a script says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest
import torch

from harness.devices.ceilings import Ceilings, load, save
from harness.devices.cpu import CpuDevice
from harness.devices.interface import Block
from harness.probes import ceilings as probe


class Scripted(CpuDevice):
    """A CPU whose products take 1 µs a row and expert, and all else 2 µs."""

    def time(self, run: Callable[[], object], calls: int, *, cold: bool) -> Block:
        made = run()
        rows = made.shape[0] * made.shape[1] if isinstance(made, torch.Tensor) and made.dim() == 3 else 2
        return Block(device_s=rows * 1e-6, host_s=rows * 1e-6, calls=calls)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    monkeypatch.setattr(probe, "SECONDS", 0.02)
    monkeypatch.setattr(probe, "TURN", 0.0)
    monkeypatch.setattr(probe, "DTYPES", ("float32",))
    monkeypatch.setattr(probe, "SHAPES", {"cpu": ((8, 8, 8),)})
    monkeypatch.setattr(probe, "COPY_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(probe, "SMALL_COPIES", {"cpu": (2**12,)})
    monkeypatch.setattr(probe, "BANK", {"cpu": (4, 8)})
    monkeypatch.setattr(probe, "BANK_BYTES", {"cpu": (256, 1024)})
    monkeypatch.setattr(probe, "BANK_ROWS", {"cpu": (1, 3)})
    return Scripted()


def test_products_of_few_rows_by_the_size_of_their_bank(device: Scripted) -> None:
    found = probe.measure(device, "scripted")
    # 4 * 8 * 2 FLOPs a row and expert, in a microsecond
    assert found.products == {
        "float32": [[256.0, [[1.0, pytest.approx(64e6)], [3.0, pytest.approx(64e6)]]],
                    [1024.0, [[1.0, pytest.approx(64e6)], [3.0, pytest.approx(64e6)]]]]
    }  # fmt: skip
    assert found.launch_s == pytest.approx(2e-6)


def test_small_copies_stand_before_the_one_past_every_cache(device: Scripted) -> None:
    found = probe.measure(device, "scripted")
    assert [size for size, _ in found.copies] == [2**12, 2 * 2**16]
    assert found.copies[-1][1] == found.bytes_per_s == pytest.approx(2 * 2**16 / 2e-6)
    assert found.copies[0][1] == pytest.approx(2**12 / 2e-6)


def test_a_product_that_would_take_too_long_is_left_out(device: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 1e-5)  # a tenth of which is 1 µs: at 2e8 FLOP/s, 200 FLOPs
    banks = probe._banks(device, "float32", 2e8)
    assert [[size, [rows for rows, _ in curve]] for size, curve in banks] == [[256.0, [1.0]]]


def test_they_come_back_from_the_cache_as_they_were(
    device: Scripted, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = probe.measure(device, "scripted")
    save(found)
    assert load("scripted") == found
    assert Ceilings(**json.loads(json.dumps(asdict(found)))) == found
