"""What a model cannot do is refused by name, and what core does in its place is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from enginebay_core.api import Capabilities, Capability, RequestError, Support, UnsupportedField
from enginebay_core.config import Defaults, ModelConfig
from enginebay_core.placement import RunningModel, open_model
from enginebay_server.admission import Admitted, admit, fit
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.schema.completions import CompletionRequest
from enginebay_server.schema.reading import read

NATIVE = Capability(Support.NATIVE)
EMULATED = Capability(Support.EMULATED)


@pytest.fixture(scope="module")
def toy() -> Iterator[RunningModel]:
    model = open_model("toy", ModelConfig(backend="toy", model="toy"), lambda *_: None)
    yield model
    model.close()


def ask(model: RunningModel, **fields: Any) -> Admitted:
    body = {"model": "toy", "messages": [{"role": "user", "content": "x"}], **fields}
    return admit(read(ChatRequest, body), model, reject_unknown=False)


def able(
    model: RunningModel,
    *pairs: tuple[str, str],
    defaults: Defaults | None = None,
    **fields: Capability,
) -> RunningModel:
    """``model`` with these capabilities and no others."""
    capabilities = Capabilities(fields, pairs)
    return replace(model, capabilities=capabilities, defaults=defaults or Defaults())


def test_a_field_that_is_not_declared_is_refused(toy: RunningModel) -> None:
    with pytest.raises(UnsupportedField, match="top_k is not supported by model 'toy'") as caught:
        ask(able(toy, temperature=NATIVE), top_k=5)
    assert caught.value.param == "top_k"


def test_the_reason_is_passed_on(toy: RunningModel) -> None:
    poor = able(toy, seed=Capability(Support.REFUSED, reason="its sampler has no seed"))
    with pytest.raises(UnsupportedField, match="its sampler has no seed"):
        ask(poor, seed=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 1),
        ("top_p", 1),
        ("top_k", -1),
        ("top_k", 0),
        ("min_p", 0),
        ("presence_penalty", 0.0),
        ("repetition_penalty", 1),
        ("logit_bias", {}),
        ("ignore_eos", False),
        ("min_tokens", 0),
    ],
)
def test_what_asks_for_nothing_passes(toy: RunningModel, field: str, value: object) -> None:
    assert ask(able(toy), **{field: value}).headers == {}


def test_emulated_fields_are_named(toy: RunningModel) -> None:
    foreign = able(toy, n=EMULATED, stop=EMULATED, max_tokens=NATIVE)
    admitted = ask(foreign, n=2, stop=["x"], max_tokens=5)
    assert set(admitted.headers["x-enginebay-emulated"].split(", ")) == {"n", "stop"}
    assert ask(foreign).headers == {}


def test_a_limit_is_kept_and_said(toy: RunningModel) -> None:
    limited = able(toy, n=Capability(Support.NATIVE, maximum=4))
    assert ask(limited, n=4).n == 4
    with pytest.raises(RequestError, match="n is 5; model 'toy' takes at most 4") as caught:
        ask(limited, n=5)
    assert caught.value.param == "n"


def test_logprobs_are_kept_to_what_the_engine_tells(toy: RunningModel) -> None:
    own = able(toy, logprobs=NATIVE)
    assert ask(own, logprobs=True, top_logprobs=0).sampling.logprobs == 0
    assert ask(own, logprobs=False).sampling.logprobs is None
    with pytest.raises(UnsupportedField, match="top_logprobs is not supported") as caught:
        ask(own, logprobs=True, top_logprobs=1)
    assert caught.value.param == "top_logprobs"
    with pytest.raises(UnsupportedField, match="logprobs is not supported") as caught:
        ask(able(toy), logprobs=True)
    assert caught.value.param == "logprobs"


def test_a_completion_asks_for_both_by_one_field(toy: RunningModel) -> None:
    def complete(model: RunningModel, logprobs: int) -> Admitted:
        body: dict[str, Any] = {"model": "toy", "prompt": "x", "logprobs": logprobs}
        return admit(read(CompletionRequest, body), model, reject_unknown=False)

    limited = able(toy, logprobs=NATIVE, top_logprobs=Capability(Support.NATIVE, maximum=3))
    assert complete(limited, 3).sampling.logprobs == 3
    with pytest.raises(
        RequestError, match=r"^logprobs is 4; model 'toy' takes at most 3"
    ) as caught:
        complete(limited, 4)
    assert caught.value.param == "logprobs"
    assert complete(able(toy, logprobs=NATIVE), 0).sampling.logprobs == 0
    with pytest.raises(UnsupportedField, match=r"^logprobs is not supported"):
        complete(able(toy), 0)


def test_what_cannot_be_combined(toy: RunningModel) -> None:
    torn = able(toy, ("seed", "n"), seed=NATIVE, n=NATIVE)
    assert ask(torn, seed=1).sampling.seed == 1
    assert ask(torn, seed=1, n=1).n == 1
    with pytest.raises(UnsupportedField, match="seed and n together"):
        ask(torn, seed=1, n=2)


def test_request_over_config_over_openai(toy: RunningModel) -> None:
    defaults = Defaults(temperature=0.3, top_k=7)
    model = able(toy, temperature=NATIVE, top_k=NATIVE, top_p=NATIVE, defaults=defaults)
    sampling = ask(model, temperature=0.9).sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.9, 7, 1.0)


def test_a_default_that_the_engine_cannot_honour_is_left_out(toy: RunningModel) -> None:
    model = able(toy, temperature=NATIVE, defaults=Defaults(temperature=0.3, top_k=7))
    assert ask(model).sampling.top_k == 0


@pytest.mark.parametrize("room", [1, 2, 100])
def test_a_prompt_may_fill_the_context_but_for_one(toy: RunningModel, room: int) -> None:
    prompt = (1,) * (toy.generator.limits.context_length - room)
    [run] = fit(ask(toy), prompt, toy, longest=50, param="messages", tenant="")
    assert run.max_tokens == min(room, 50)
    fit(ask(toy, max_tokens=room), prompt, toy, longest=50, param="messages", tenant="")
    with pytest.raises(RequestError, match="context is 2048 tokens"):
        fit(ask(toy, max_tokens=room + 1), prompt, toy, longest=50, param="messages", tenant="")


def test_a_full_context_leaves_no_room(toy: RunningModel) -> None:
    prompt = (1,) * toy.generator.limits.context_length
    with pytest.raises(RequestError, match="the prompt alone has 2048"):
        fit(ask(toy), prompt, toy, longest=50, param="messages", tenant="")
