"""EngineBay's reference backend: any causal language model that Transformers can load."""

from enginebay_transformers.backend import TransformersBackend
from enginebay_transformers.options import TransformersOptions

__all__ = ["TransformersBackend", "TransformersOptions"]
