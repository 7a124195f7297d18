"""All checks, by subject: what each holds the backend to, and what a failure usually means."""

from enginebay_core.testing.checks.cache import Cache
from enginebay_core.testing.checks.claims import Claims
from enginebay_core.testing.checks.closing import Closing
from enginebay_core.testing.checks.concurrency import Concurrency
from enginebay_core.testing.checks.distribution import Distribution
from enginebay_core.testing.checks.errors import Errors
from enginebay_core.testing.checks.fields import Fields
from enginebay_core.testing.checks.grammars import Grammars
from enginebay_core.testing.checks.greedy import Greedy
from enginebay_core.testing.checks.leaving import Leaving
from enginebay_core.testing.checks.reference import Reference
from enginebay_core.testing.checks.rendering import Rendering
from enginebay_core.testing.checks.sampler import Sampler
from enginebay_core.testing.checks.seeds import Seeds
from enginebay_core.testing.checks.stepping import Stepping
from enginebay_core.testing.checks.stopping import Stopping


class Checks(
    Closing,
    Errors,
    Leaving,
    Grammars,
    Concurrency,
    Stopping,
    Seeds,
    Distribution,
    Fields,
    Greedy,
    Reference,
    Sampler,
    Cache,
    Stepping,
    Rendering,
    Claims,
):
    """pytest collects base classes last to first, so the simplest checks stand last here, and
    those that close the engine first.
    """
