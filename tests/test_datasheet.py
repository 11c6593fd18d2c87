"""Datasheet peaks: dense, of the right GPU, above what anybody has measured, and shown beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.cli.doctor import _print
from harness.devices.ceilings import Ceilings
from harness.devices.datasheet import DATASHEETS, beyond, datasheet, missing
from reports.read import read_run
from reports.review import review
from tests.fake_run import make_case, write_run

MARKETED = {
    "NVIDIA H200": (1979, 67, 4.8),
    "NVIDIA H100 80GB HBM3": (1979, 67, 3.35),
    "NVIDIA H100 PCIe": (1513, 51, 2.0),
    "NVIDIA A100-SXM4-40GB": (624, 19.5, 1.555),
    "NVIDIA A100-SXM4-80GB": (624, 19.5, 2.039),
    "NVIDIA A100-PCIE-40GB": (624, 19.5, 1.555),
    "NVIDIA A100 80GB PCIe": (624, 19.5, 1.935),
    "NVIDIA L40S": (733, 91.6, 0.864),
    "NVIDIA L40": (362.1, 90.5, 0.864),
}
"""What is printed in large type: BFLOAT16 in TFLOP/s with sparsity, FP32, and memory in TB/s."""
MEASURED = {"NVIDIA H200": ({"bfloat16": 798e12}, 4.3e12)}
"""The highest that was seen on this GPU: 769 to 798 TFLOP/s on random data."""


def ceilings(device: str, rate: float, copied: float) -> Ceilings:
    return Ceilings(device, {"bfloat16": rate}, copied, 141 << 30, "2026-01-01T00:00:00Z", "2.13.0")


@pytest.mark.parametrize("device", DATASHEETS)
def test_a_peak_is_dense_half_of_what_is_printed_with_sparsity(device: str) -> None:
    sheet, (sparse, float32, bandwidth) = DATASHEETS[device], MARKETED[device]
    for dtype in ("bfloat16", "float16"):
        assert sheet.flops_per_s[dtype] == pytest.approx(sparse / 2 * 1e12)
    assert sheet.bytes_per_s == pytest.approx(bandwidth * 1e12)
    assert sheet.flops_per_s["float32"] == pytest.approx(float32 * 1e12), "TF32 is another format"
    assert sheet.source.startswith("NVIDIA ")
    assert sheet.read == "2026-11-22"


@pytest.mark.parametrize("device", MEASURED)
def test_what_was_measured_lies_below(device: str) -> None:
    sheet, (rates, copied) = DATASHEETS[device], MEASURED[device]
    assert beyond(sheet, rates, copied) == []
    assert rates["bfloat16"] / sheet.flops_per_s["bfloat16"] == pytest.approx(0.80, abs=0.02)
    assert copied / sheet.bytes_per_s == pytest.approx(0.90, abs=0.01)


def test_a_measured_ceiling_above_the_datasheet_is_told() -> None:
    """Planted: the sparse number as if it had been measured, and a copy that counts its bytes twice."""
    told = beyond(DATASHEETS["NVIDIA H200"], {"bfloat16": 1979e12, "int8": 1e18}, 8.6e12)
    assert [words.partition(":")[0] for words in told] == [
        "bfloat16 was measured at 1.98e+03 TFLOP/s, above the datasheet's 990",
        "copying was measured at 8.6 TB/s, above the datasheet's 4.8",
    ]


@pytest.mark.parametrize("device", ["AMD EPYC 7763, 2 cores", "NVIDIA H200 MIG 1g.18gb", "NVIDIA Scripted", ""])
def test_what_is_not_known_by_its_whole_name_has_none(device: str) -> None:
    assert datasheet(device) is None
    assert missing(device).startswith("none is kept for")


def test_doctor_prints_both_or_says_that_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    _print("cuda", ceilings("NVIDIA H200", 791e12, 4.32e12), None)
    printed = capsys.readouterr().out
    assert "datasheet NVIDIA H200 Tensor Core GPU datasheet, dense peaks, read 2026-11-22" in printed
    assert "bfloat16   989.500 TFLOP/s, of which 80% measured" in printed
    assert "memory      4800.0 GB/s, of which 90% measured" in printed
    _print("cpu", ceilings("Some CPU, 2 cores", 1e12, 1e10), None)
    assert "datasheet none is kept for Some CPU, 2 cores: only measured ceilings stand here" in capsys.readouterr().out


def facts(folder: Path, **top: Any) -> dict[str, tuple[str, ...]]:
    run = read_run(write_run(folder, [make_case("dense", "dense")], **top))
    return {fact.name: fact.lines for fact in review(run).provenance.facts}


def test_the_report_has_both(tmp_path: Path) -> None:
    sheet = asdict(DATASHEETS["NVIDIA H200"])
    measured = asdict(ceilings("NVIDIA H200", 791e12, 4.32e12))
    lines = facts(tmp_path / "h200", ceilings=measured, datasheet=sheet)["Datasheet"]
    assert "990 TFLOP/s in bfloat16, dense, 80 % of it measured" in lines
    assert "4.80 TB/s of memory, 90 % of it measured" in lines
    assert lines[-1] == "NVIDIA H200 Tensor Core GPU datasheet, read 2026-11-22"
    assert facts(tmp_path / "cpu")["Datasheet"] == ("none is kept for this device: only measured ceilings stand here",)
    sparse = asdict(ceilings("NVIDIA H200", 1500e12, 4.32e12))
    told = facts(tmp_path / "wrong", ceilings=sparse, datasheet=sheet)["Datasheet"]
    assert any("152 % of it measured; above the datasheet" in line for line in told)
