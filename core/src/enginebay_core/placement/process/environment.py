"""Which of the server's environment variables a child sees: those that devices and libraries read.

Everything else, keys and tokens above all, stays with the server unless the config passes it on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

NAMES: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ"),
        *("TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "APPDATA", "LOCALAPPDATA", "USERPROFILE"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "LIBRARY_PATH"),
        *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        *("GPU_DEVICE_ORDINAL", "MALLOC_ARENA_MAX", "CC", "CXX"),
    }
)
PREFIXES: Final = (
    *("LC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "VECLIB_", "NUMEXPR_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "CUBLAS_", "CUDNN_", "HIP_", "HSA_", "ROCR_", "ROCM_", "AMD_"),
    *("ZE_", "ZES_", "SYCL_", "ONEAPI_", "ONEDNN_", "DNNL_", "OV_", "OPENVINO_", "ORT_"),
    *("TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "TRITON_", "XLA_", "TPU_", "NEURON_", "ASCEND_"),
)
OWN_PYTHON: Final = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
"""Where this Python finds modules: another one would be led astray."""


def child_environment(
    environ: Mapping[str, str], passed: Iterable[str], *, own_python: bool
) -> dict[str, str]:
    """``passed`` are the config's ``pass_env``; names that are not set stay so."""
    kept = NAMES | set(passed) | (set(OWN_PYTHON) if own_python else set())
    return {
        name: value
        for name, value in environ.items()
        if name in kept or name.upper().startswith(PREFIXES)
    }
