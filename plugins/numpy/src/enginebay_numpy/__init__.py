"""A whole inference engine in one short file of numpy; ``engine.py`` is the one to read."""

from enginebay_numpy.backend import NumpyBackend, NumpyOptions

__all__ = ["NumpyBackend", "NumpyOptions"]
