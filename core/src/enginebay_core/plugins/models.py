"""From the name of a model in the config to a directory with its files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from enginebay_core.api import ModelError, Progress
from enginebay_core.plugins.registry import MODELS, list_plugins, load_plugin
from enginebay_core.plugins.suggest import suggest

HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+(@[\w.\-/]+)?")
FILES: Final = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.py")


def resolve_model(name: str, progress: Progress) -> Path:
    """An installed model's name, a directory, or a Hugging Face Hub id (``owner/name``, and
    ``owner/name@revision``), which is downloaded unless its files are here already.

    Raises ModelError when it is none of them.
    """
    require_model_name(name)
    if name in _installed():
        return cast("Callable[[], Path]", load_plugin(MODELS, name))()
    directory = Path(name).expanduser()
    return directory.resolve() if directory.is_dir() else _download(name, progress)


def require_model_name(name: str) -> None:
    """Raises ModelError for what is no model whatever the network may hold; imports no plugin."""
    known = _installed()
    hub_id = HUB_ID.fullmatch(name) and not name.startswith((".", "~"))
    if name in known or hub_id or Path(name).expanduser().is_dir():
        return
    near = suggest(name, known)
    meant = f"; did you mean {near!r}?" if near else ""
    raise ModelError(
        f"model {name!r} is no directory, no installed model (installed: "
        f"{', '.join(known) or 'none'}) and no Hugging Face id (owner/name){meant}"
    )


def _installed() -> list[str]:
    return [plugin.name for plugin in list_plugins(MODELS)]


def _download(name: str, progress: Progress) -> Path:
    """Fetch what is missing. Without a network the local cache serves, where it has the model."""
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - of the extra [hf]
    except ImportError:
        raise ModelError(
            f"downloading {name!r} needs huggingface_hub: pip install 'enginebay-core[hf]'"
        ) from None
    repository, _, revision = name.partition("@")
    progress(f"fetching {name} from the Hugging Face Hub, or from the local cache")
    try:
        return Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES))
        )
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"model {name!r} could not be fetched: {reason.removeprefix('Got: ')}. It takes a "
            "network that reaches the Hugging Face Hub, or the mirror that HF_ENDPOINT names; "
            "without one, give the directory of a model"
        ) from error
