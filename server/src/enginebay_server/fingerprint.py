"""``system_fingerprint``: a short name for everything beside the request that decides an answer."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from enginebay_core.placement import RunningModel


@dataclass(frozen=True)
class Fingerprint:
    """``parts`` are what it is a hash of, in the open."""

    name: str
    parts: Mapping[str, Any]

    def told(self) -> dict[str, Any]:
        return {"system_fingerprint": self.name, **self.parts}


def fingerprint_of(model: RunningModel) -> Fingerprint:
    parts = asdict(model.identity)
    own = {"enginebay-server": importlib.metadata.version("enginebay-server")}
    parts["versions"] = dict(sorted({**parts["versions"], **own}.items()))
    written = json.dumps(parts, sort_keys=True).encode()
    return Fingerprint(f"fp_{hashlib.sha256(written).hexdigest()[:16]}", parts)
