"""The bundled model is quick enough to talk to, on one core."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

PROGRAM: Final = """
import asyncio, time
from enginebay_core.api import GenerationRequest
from enginebay_core.config import ModelConfig
from enginebay_core.placement import open_model

config = ModelConfig(backend="numpy", model="pocket", placement="inline")
model = open_model("pocket", config, lambda *_: None)
prompt = tuple(model.tokenizer.encode("What is EngineBay?"))

async def write(count):
    request = GenerationRequest(prompt=prompt, max_tokens=count)
    return sum([len(step.ids) async for step in model.generator.generate(request)])

asyncio.run(write(8))
began = time.process_time()
written = asyncio.run(write(300))
print(written / (time.process_time() - began))
model.close()
"""


def test_pocket_writes_100_tokens_in_a_second_of_one_core() -> None:
    """In time of the processor, of which a busy machine takes nothing; 500 to 800 are usual."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(ran.stdout) >= 100
