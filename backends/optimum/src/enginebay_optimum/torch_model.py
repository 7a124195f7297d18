"""The checkpoint as Transformers 4.57 loads it, checked against its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from enginebay_core.api import ModelError, Progress
from enginebay_optimum.downgrade import (
    ELSEWHERE,
    check_read,
    is_newer,
    read_config,
    readable,
)


def load_torch(model: Path, progress: Progress) -> Any:
    """In float32. Raises ModelError unless every weight found its place and the config was read as
    it was written.
    """
    progress("importing torch and transformers")
    import torch  # noqa: PLC0415 - heavy
    import transformers  # noqa: PLC0415 - heavy

    theirs: Any = transformers  # the types that are here may be another version's

    with readable(model) as directory:
        progress("reading weights")
        try:
            config = theirs.AutoConfig.from_pretrained(directory, local_files_only=True)
            loaded, said = theirs.AutoModelForCausalLM.from_pretrained(
                directory,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
            )
        except ModelError:
            raise
        except Exception as error:  # loading fails in ways that vary with the architecture
            raise ModelError(
                f"Transformers 4.57 cannot load the checkpoint ({error}); {ELSEWHERE}"
            ) from error
        written = read_config(directory)
    if is_newer(read_config(model)):
        check_read(written, config)
    check_weights(said)
    check_rope(loaded, written)
    return loaded.eval()


def check_weights(said: Mapping[str, Any]) -> None:
    """Raises ModelError for weights that are missing, left over or of another shape."""
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        names = [str(name) for name in said.get(kind) or ()]
        if names:
            raise ModelError(
                f"Transformers 4.57 loads the checkpoint with {kind.replace('_', ' ')}: "
                f"{', '.join(names[:4])}{', …' if len(names) > 4 else ''}; {ELSEWHERE}"
            )


def check_rope(loaded: Any, config: Mapping[str, Any]) -> None:
    """The frequencies that the model turns by are those of the config's base (arXiv:2104.09864).
    Only the plain kind is recomputed. Raises ModelError.
    """
    theta = config.get("rope_theta")
    if theta is None or config.get("rope_scaling"):
        return
    for name, buffer in loaded.named_buffers():
        if not name.endswith("inv_freq"):
            continue
        count = len(buffer)
        expected = float(theta) ** -(np.arange(count) / count)
        if not np.allclose(buffer.numpy(), expected, rtol=1e-4):
            raise ModelError(
                f"{name} does not follow from rope_theta {theta!r} in config.json; {ELSEWHERE}"
            )


class TorchModel:
    """``loaded`` as the engine runs models: numpy in, numpy out."""

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded

    def run(
        self, feed: Mapping[str, npt.NDArray[Any]], past: list[npt.NDArray[Any]]
    ) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[Any]]]:
        """As ``GraphModel.run``."""
        import torch  # noqa: PLC0415 - heavy
        import transformers  # noqa: PLC0415 - heavy

        caches: Any = transformers.DynamicCache  # of another version's type here
        pairs = zip(past[::2], past[1::2], strict=True)
        layers = tuple((torch.from_numpy(key), torch.from_numpy(value)) for key, value in pairs)
        inputs = {name: torch.from_numpy(array) for name, array in feed.items()}
        with torch.no_grad():
            said = self._loaded(
                **inputs, past_key_values=caches.from_legacy_cache(layers), use_cache=True
            )
        kept = said.past_key_values.to_legacy_cache()
        return said.logits.numpy(), [tensor.numpy() for layer in kept for tensor in layer]
