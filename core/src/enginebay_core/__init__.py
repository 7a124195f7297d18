"""EngineBay's core: protocols, scheduler, text, placement and the contract kit.

Plugins import ``enginebay_core.api`` and ``enginebay_core.testing``; the rest may change.
"""

__version__ = "0.1.0"
