"""The Triton kernels against plain torch: on CUDA, elsewhere by Triton's interpreter."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from enginebay_transformers.decode_rows import DecodeRows, Scores

pytest.importorskip("triton", reason="needs triton, which torch brings where there is CUDA")

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ENTRIES, FILLED = 301, 290

pytestmark = pytest.mark.skipif(
    DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1",
    reason="needs CUDA, or TRITON_INTERPRET=1 before torch is imported",
)


@pytest.fixture(scope="module")
def kernels() -> Any:
    """The real one and the plain one."""
    from enginebay_transformers.triton_decode import attend

    path = Path(__file__).with_name("plain_kernel.py")
    spec = importlib.util.spec_from_file_location("plain_kernel", path)
    assert spec is not None
    assert spec.loader is not None
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    return attend, plain.attend


@pytest.mark.parametrize(
    ("heads", "key_heads", "dim", "value_dim", "window", "softcap", "sinks"),
    [
        (4, 2, 16, 16, 0, None, False),
        (8, 8, 80, 64, 0, None, False),
        (4, 1, 64, 64, 20, 5.0, False),
        (4, 2, 24, 16, 8, None, True),
        (16, 8, 128, 128, 0, None, False),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_equals_plain_torch(  # noqa: PLR0917 - one per parameter
    kernels: Any,
    dtype: torch.dtype,
    heads: int,
    key_heads: int,
    dim: int,
    value_dim: int,
    window: int,
    softcap: float | None,
    sinks: bool,
) -> None:
    torch.manual_seed(3)
    query = torch.randn(5, heads, dim, device=DEVICE, dtype=dtype)
    keys = torch.randn(6, key_heads, ENTRIES, dim, device=DEVICE, dtype=dtype)
    values = torch.randn(6, key_heads, ENTRIES, value_dim, device=DEVICE, dtype=dtype)
    keys[:, :, FILLED:] = values[:, :, FILLED:] = torch.nan  # what no row holds is not read
    slots = torch.tensor([5, 0, 2, 1, 0], device=DEVICE)
    lengths = torch.tensor([1, FILLED, 0, 65, 64], device=DEVICE)
    scores = Scores(None, softcap, torch.randn(heads, device=DEVICE) if sinks else None, window)
    real, plain = kernels
    rows = DecodeRows(slots, lengths)
    found = real(query, keys, values, rows, scores)
    bound = 1e-5 if dtype == torch.float32 else 3e-3
    torch.testing.assert_close(
        found, plain(query, keys, values, rows, scores), atol=bound, rtol=bound
    )
