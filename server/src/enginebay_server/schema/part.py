"""What every JSON object that a client sends has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, model_validator

from enginebay_core.api import RequestError

MOST_UNKNOWN: Final = 256
"""Different names in one request; each is compared with those that are known."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class UnknownName(NamedTuple):
    """``place`` is where it stands, as ``messages[3].content[0].cache_control``; ``kind`` the same
    without numbers; ``part`` the object that does not know it.
    """

    place: str
    kind: str
    name: str
    part: RequestPart


class RequestPart(BaseModel):
    """No "1" for 1, no true for 1; ``null`` means that a field is absent. Names that no field has
    are kept, for admission to judge by what the class says of them.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Names that are known to change nothing, and are not worth a word."""
    not_done: ClassVar[Mapping[str, str]] = NOTHING
    """Names whose loss makes another question, with what to do instead."""
    sent_back: ClassVar[bool] = False
    """It may be a piece of another server's answer, so no name in it is taken for misspelled."""
    read_whole: ClassVar[bool] = False
    """Somebody reads every name in it, so that none is unknown."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: Any) -> Any:
        if isinstance(sent, dict) and None in sent.values():
            return {name: value for name, value in sent.items() if value is not None}
        return sent

    @classmethod
    def as_sent(cls, name: str) -> str:
        """A field's name as clients write it."""
        return cls.model_fields[name].alias or name

    @classmethod
    def known_names(cls) -> Iterator[str]:
        """As clients write them."""
        yield from map(cls.as_sent, cls.model_fields)
        yield from (*cls.without_effect, *cls.not_done)

    @cached_property
    def unknown_below(self) -> tuple[UnknownName, ...]:
        """Of all objects in this one, less those without effect: the first of each kind. A long
        conversation takes milliseconds for each thousand messages. Raises RequestError for too
        many kinds.
        """
        found: dict[str, UnknownName] = {}
        _look_below(self, "", "", found)
        return tuple(found.values())


def _look_below(part: RequestPart, place: str, kind: str, found: dict[str, UnknownName]) -> None:
    for name, value in vars(part).items():
        if isinstance(value, RequestPart):
            sent = part.as_sent(name)
            _look_into(value, f"{place}{sent}", f"{kind}{sent}", found)
        elif isinstance(value, list) and value and isinstance(value[0], RequestPart):
            sent = part.as_sent(name)
            for index, one in enumerate(value):
                _look_into(one, f"{place}{sent}[{index}]", f"{kind}{sent}[]", found)


def _look_into(part: RequestPart, place: str, kind: str, found: dict[str, UnknownName]) -> None:
    if part.read_whole:
        return
    for name, sent in (part.model_extra or {}).items():
        if name not in part.without_effect and sent != []:
            unknown = UnknownName(f"{place}.{name}", f"{kind}.{name}", name, part)
            found.setdefault(unknown.kind, unknown)
            _require_few(found, unknown.place)
    _look_below(part, f"{place}.", f"{kind}.", found)


def _require_few(found: dict[str, UnknownName], place: str) -> None:
    if len(found) > MOST_UNKNOWN:
        raise RequestError(
            f"The request has more than {MOST_UNKNOWN} names that nobody knows.", param=place[:80]
        )
