"""Makes a Generator of a StepEngine: continuous batching on one thread per engine."""

from enginebay_core.engine.check import CheckedGenerator
from enginebay_core.engine.embeddings import Embeddings, InlineEmbeddings
from enginebay_core.engine.generator import StepGenerator
from enginebay_core.engine.queue import QueueLimits

__all__ = ["CheckedGenerator", "Embeddings", "InlineEmbeddings", "QueueLimits", "StepGenerator"]
