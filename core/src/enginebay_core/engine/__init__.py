"""Makes a Generator of a StepEngine: continuous batching on one thread per engine."""

from enginebay_core.engine.generator import StepGenerator

__all__ = ["StepGenerator"]
