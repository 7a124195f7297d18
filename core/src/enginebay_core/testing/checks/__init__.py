"""All checks, by subject: what each holds the backend to, and what a failure usually means."""

from enginebay_core.testing.checks.cache import Cache
from enginebay_core.testing.checks.greedy import Greedy
from enginebay_core.testing.checks.sampler import Sampler
from enginebay_core.testing.checks.stepping import Stepping


class Checks(Greedy, Sampler, Cache, Stepping):
    """pytest collects base classes last to first, so the simplest checks stand last here."""
