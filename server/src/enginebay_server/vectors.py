"""From what an embedder made to what ``/v1/embeddings`` answers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import EmbeddingSpec, RequestError, UnsupportedField
from enginebay_server.frames import dumps
from enginebay_server.schema.embeddings import EmbeddingRequest

LITTLE_ENDIAN: Final = "<f4"
"""What base64 stands for, on every machine."""


def check_dimensions(wanted: int | None, spec: EmbeddingSpec) -> None:
    """Raises RequestError for vectors that the model cannot make."""
    if wanted is None or wanted == spec.dimensions:
        return
    if wanted > spec.dimensions:
        raise RequestError(
            f"dimensions is {wanted}; this model's vectors have {spec.dimensions}.",
            param="dimensions",
        )
    if not spec.shrinkable:
        raise UnsupportedField(
            f"dimensions is {wanted}: this model was not trained to be cut short; leave it out, or "
            f"send {spec.dimensions}.",
            param="dimensions",
        )


def embedding_list(
    fields: EmbeddingRequest,
    model: str,
    vectors: Sequence[npt.NDArray[np.float32]],
    spec: EmbeddingSpec,
    tokens: int,
) -> bytes:
    """The whole answer. Takes long for many vectors, so not on the event loop: each is encoded by
    itself, between which others get their turn.
    """
    data = b",".join(
        b'{"object":"embedding","index":%d,"embedding":' % index
        + _encoded(vector, fields, spec)
        + b"}"
        for index, vector in enumerate(vectors)
    )
    usage = dumps({"prompt_tokens": tokens, "total_tokens": tokens})
    head = b'{"object":"list","model":' + dumps(model) + b',"data":['
    return head + data + b'],"usage":' + usage + b"}"


def shaped(
    vector: npt.NDArray[np.float32], dimensions: int | None, spec: EmbeddingSpec
) -> npt.NDArray[np.float32]:
    """Shortened first, then scaled to length 1 where the model's vectors are; a vector of zeros
    stays one.
    """
    short = vector[:dimensions]
    length = float(np.linalg.norm(short.astype(np.float64)))
    return short / np.float32(length) if spec.normalize and length else short


def _encoded(
    vector: npt.NDArray[np.float32], fields: EmbeddingRequest, spec: EmbeddingSpec
) -> bytes:
    made = shaped(vector, fields.dimensions, spec)
    if fields.encoding_format == "base64":
        return b'"' + base64.b64encode(made.astype(LITTLE_ENDIAN).tobytes()) + b'"'
    return dumps(made.tolist())
