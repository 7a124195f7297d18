"""What the backend says of itself."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from enginebay_core.api import GENERATION_FIELDS, Support
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.expect import expect
from enginebay_core.testing.marks import fields_needed, fields_proved

EMULATED = ("n", "stop")


class Claims:
    def test_options_refuse_unknown_keys(self, bench: Bench) -> None:
        """A key that the options do not know is refused before anything loads.

        A failure usually means an options model of one's own base, which ignores what it does not
        know: a typing error in a config then changes nothing, silently. Repair: derive it from
        ``EngineOptions``.
        """
        try:
            bench.subject.options.model_validate({"no_such_option": 1})
        except ValidationError:
            return
        raise AssertionError("the options model accepted 'no_such_option'")

    def test_claims_are_consistent(self, bench: Bench) -> None:
        """Only ``n`` and ``stop`` are emulated, limits are positive, pairs name known fields.

        A failure usually means capabilities copied from another backend. Repair: "native" is what
        the engine does itself; core can emulate nothing but ``n`` and ``stop``.
        """
        capabilities = bench.subject.capabilities
        for name, capability in capabilities.fields.items():
            emulated = capability.support is Support.EMULATED
            expect(name in EMULATED or not emulated, f"{name} cannot be emulated by core")
            limit = capability.maximum
            expect(limit is None or limit > 0, f"{name} is claimed up to {limit!r}; refuse it")
        for pair in capabilities.forbidden:
            unknown = set(pair) - set(GENERATION_FIELDS)
            expect(not unknown, f"the forbidden pair {pair!r} names no field of a request")
        told = bench.claims("logprobs") or not bench.claims("top_logprobs")
        expect(told, "top_logprobs is claimed and logprobs is not: one is no use without the other")

    def test_every_claim_has_a_witness(self, bench: Bench) -> None:
        """For each claimed field there is a check that can prove it on this backend.

        A failure usually means a field whose proof needs another field that is refused. Repair:
        claim that one too, or refuse this one: what nobody can prove is not promised.
        """
        for field in GENERATION_FIELDS:
            if bench.claims(field):
                checks = [check for check in self._checks() if field in fields_proved(check)]
                able = [check.__name__ for check in checks if _can_run(check, bench)]
                wanting = {f for c in checks for f in fields_needed(c) if not bench.claims(f)}
                expect(bool(able), f"{field} is claimed; its proof needs {sorted(wanting)!r} too")

    def _checks(self) -> list[Callable[..., None]]:
        return [getattr(self, name) for name in dir(self) if name.startswith("test_")]


def _can_run(check: Callable[..., None], bench: Bench) -> bool:
    drives = getattr(check, "step_engines", False)
    claimed = all(bench.claims(field) for field in fields_needed(check))
    return claimed and not (drives and bench.subject.engine is None)
