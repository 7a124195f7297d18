"""Opens graphs in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ModelError
from enginebay_onnx.options import OnnxOptions

PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
ONLY_ERRORS: Final = 3


def import_runtime() -> Any:
    """The module ``onnxruntime``. Raises ModelError where it cannot be imported."""
    try:
        import onnxruntime  # noqa: PLC0415 - heavy, and absent where only the options are read
    except ImportError as error:
        raise ModelError(
            f"ONNX Runtime cannot be imported ({error}): pip install './backends/onnx[cpu]', "
            "or with [cuda] for NVIDIA GPUs"
        ) from error
    return onnxruntime


def open_session(file: Path, options: OnnxOptions) -> Any:
    """An ``InferenceSession``. Raises ModelError when provider or graph cannot be had."""
    if not file.is_file():
        raise ModelError(f"the export has no {file.name}; export the checkpoint again")
    try:
        return make_session(str(file), options)
    except ModelError:
        raise
    except Exception as error:  # ONNX Runtime's errors share no base of their own
        raise ModelError(f"ONNX Runtime cannot open {file}: {error}") from error


def make_session(graph: str | bytes, options: OnnxOptions) -> Any:
    """On the one provider that was asked for: ONNX Runtime would fall back to the CPU without a
    word. Raises ModelError where it is not to be had.
    """
    runtime = import_runtime()
    provider = PROVIDERS[options.provider]
    if provider not in runtime.get_available_providers():
        raise ModelError(
            f"provider is {options.provider!r}, which this build of ONNX Runtime lacks (it has "
            f"{', '.join(runtime.get_available_providers())}); install onnxruntime-gpu instead of "
            "onnxruntime, or use provider 'cpu'"
        )
    settings = runtime.SessionOptions()
    settings.log_severity_level = ONLY_ERRORS
    settings.intra_op_num_threads = options.threads or 0
    session = runtime.InferenceSession(graph, settings, providers=[provider])
    if provider not in session.get_providers():
        raise ModelError(
            f"provider is {options.provider!r}, and ONNX Runtime could not start it: the CUDA and "
            "cuDNN libraries that onnxruntime-gpu needs are missing or of another version"
        )
    return session
