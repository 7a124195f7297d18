"""Device and dtype: what auto takes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from enginebay_core.api import ModelError
from enginebay_transformers import TransformersOptions, hardware
from enginebay_transformers.checkpoint import Checkpoint

CPU = torch.device("cpu")


def stored(dtype: str | None, weights: str | None = None) -> Checkpoint:
    return Checkpoint(Path("model"), {"dtype": dtype} if dtype else {}, weights)


@pytest.fixture(params=[True, False])
def bfloat16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A processor with and one without bfloat16 instructions."""
    found = {"avx512_bf16": request.param}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    return bool(request.param)


def test_auto_dtype_on_the_cpu(bfloat16: bool) -> None:
    def choose(checkpoint: Checkpoint) -> torch.dtype:
        return hardware.choose_dtype("auto", checkpoint, CPU)

    expected = torch.bfloat16 if bfloat16 else torch.float32
    assert choose(stored("bfloat16")) == expected
    assert choose(stored(None, "BF16")) == expected
    assert choose(stored("float16")) == torch.float32
    assert choose(stored("float32", "BF16")) == torch.float32
    assert choose(stored(None)) == torch.float32
    assert choose(stored(None, "U8")) == torch.float32


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_explicit_dtype_is_taken_on_the_cpu(dtype: Any, bfloat16: bool) -> None:
    assert hardware.choose_dtype(dtype, stored("float32"), CPU) == getattr(torch, dtype)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_cuda_that_is_not_there(device: str) -> None:
    with pytest.raises(ModelError, match=f"device is '{device}', and torch .* sees no CUDA"):
        hardware.choose_device(device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_cuda_device_too_far() -> None:
    with pytest.raises(ModelError, match="use cuda:0 to"):
        hardware.choose_device("cuda:99")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="needs a machine without mps")
def test_mps_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="device is 'mps'"):
        hardware.choose_device("mps")


def test_auto_device_is_the_best_there_is() -> None:
    assert hardware.choose_device("auto").type == hardware.best_device()
    assert hardware.choose_device("cpu") == CPU


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_no_device_at_all(device: str) -> None:
    with pytest.raises(ValidationError, match="device"):
        TransformersOptions(device=device)


def test_device_and_device_map_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        TransformersOptions(device="cpu", device_map="auto")


def test_free_memory_is_some() -> None:
    assert 2**20 < hardware.free_memory(CPU) < 2**50


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    assert hardware.cgroup_room() == 2**63
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\nfile 150\nfile_mapped 90\n")
    assert hardware.cgroup_room() == 450
    assert hardware.free_memory(CPU) == 450
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware.cgroup_room() == 2**63
