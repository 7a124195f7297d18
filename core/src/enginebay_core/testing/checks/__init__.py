"""All checks, by subject. Each says what it checks, what a failure usually means, and the repair."""

from enginebay_core.testing.checks.greedy import Greedy
from enginebay_core.testing.checks.stepping import Stepping


class Checks(Greedy, Stepping):
    """pytest collects base classes last to first, so the simplest checks stand last here."""
