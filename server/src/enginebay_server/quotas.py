"""What each key may use: requests and tokens a minute, and requests at the same time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Final

from enginebay_server.config import PerKey
from enginebay_server.errors import WireError
from enginebay_server.visit import Visit

MINUTE: Final = 60.0


@dataclass
class Bucket:
    """Refilled evenly, up to one minute's worth. What an answer costs is known only when it is
    made, so that ``level`` may fall below zero; until it is back, nothing new begins.
    """

    limit: int
    level: float = field(init=False)
    _filled: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = float(self.limit)
        self._filled = time.monotonic()

    def wait(self, needed: float) -> float:
        """Seconds until ``needed`` can be taken."""
        now = time.monotonic()
        self.level = min(self.limit, self.level + (now - self._filled) * self.limit / MINUTE)
        self._filled = now
        return max(0.0, (needed - self.level) * MINUTE / self.limit)

    def headers(self, kind: str) -> dict[str, str]:
        full = self.wait(self.limit)
        return {
            f"x-ratelimit-limit-{kind}": str(self.limit),
            f"x-ratelimit-remaining-{kind}": str(max(0, math.floor(self.level))),
            f"x-ratelimit-reset-{kind}": f"{full:.3f}s",
        }


@dataclass
class Account:
    """One key's."""

    requests: Bucket | None
    tokens: Bucket | None
    running: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """By the names that OpenAI uses."""
        asked = self.requests.headers("requests") if self.requests else {}
        return asked | (self.tokens.headers("tokens") if self.tokens else {})


class Quotas:
    """One account per tenant, so as many as there are keys."""

    def __init__(self, allowed: PerKey) -> None:
        self._allowed = allowed
        self._accounts: dict[str, Account] = {}

    @property
    def unlimited(self) -> bool:
        return not self._allowed.any

    def headers(self, visit: Visit) -> dict[str, str]:
        return self._account(visit.tenant).headers

    def enter(self, visit: Visit) -> WireError | None:
        """Take the request in, to be paid when the visit ends; or say why not."""
        account = self._account(visit.tenant)
        refusal = self._refusal(account)
        if refusal is None:
            account.running += 1
            if account.requests is not None:
                account.requests.level -= 1
            visit.at_end(lambda: self._leave(account, visit))
        return refusal

    def _account(self, tenant: str) -> Account:
        if tenant not in self._accounts:
            requests, tokens = self._allowed.requests_per_minute, self._allowed.tokens_per_minute
            self._accounts[tenant] = Account(
                Bucket(requests) if requests else None, Bucket(tokens) if tokens else None
            )
        return self._accounts[tenant]

    def _refusal(self, account: Account) -> WireError | None:
        atonce = self._allowed.concurrent_requests
        if atonce is not None and account.running >= atonce:
            return _too_many(f"{atonce} requests at the same time", "requests", 1.0, account)
        if account.requests and (wait := account.requests.wait(1)):
            said = f"{account.requests.limit} requests a minute"
            return _too_many(said, "requests", wait, account)
        if account.tokens and (wait := account.tokens.wait(1)):
            said = f"{account.tokens.limit} tokens a minute"
            return _too_many(said, "tokens", wait, account)
        return None

    def _leave(self, account: Account, visit: Visit) -> None:
        account.running -= 1
        if account.tokens is not None:
            account.tokens.level -= visit.usage().total_tokens


def _too_many(allowed: str, kind: str, wait: float, account: Account) -> WireError:
    seconds = max(1, math.ceil(wait))
    return WireError(
        429,
        f"This key may use {allowed}; try again in {seconds} s.",
        kind,
        code="rate_limit_exceeded",
        headers={"Retry-After": str(seconds), **account.headers},
    )
