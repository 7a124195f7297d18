"""Attention over the slots, registered with Transformers under names of its own.

Two functions per name: one makes the masks of a step, once per kind of layer; the other attends.
Both find the step through ``running_step``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, causal_mask_function

from enginebay_transformers.decode_rows import Scores
from enginebay_transformers.slot_step import (
    KvLayer,
    MaskFunction,
    SlotStep,
    Span,
    running_step,
)

NAMES: Final = {"sdpa": "enginebay_slots_sdpa", "eager": "enginebay_slots_eager"}
"""Our name for each of Transformers' implementations that the slots can stand in for."""

HARMLESS: Final = frozenset(
    {
        "is_causal",
        "output_attentions",
        "output_hidden_states",
        "output_router_logits",
        "position_ids",
        "sliding_window",
        "use_cache",
    }
)
"""Arguments that repeat what the masks and positions already say, or that ask for extra output."""


class StepMasks(NamedTuple):
    """What one kind of layer may see in a step. ``window`` is for the decode kernel: the last so
    many entries, 0 for all. ``spans`` has one mask per span of the step; None where no key that
    is read must be hidden, or where the usual triangle hides them.
    """

    window: int
    spans: tuple[torch.Tensor | None, ...]


class NotForSlots(Exception):
    """The model asks for something that attention over slots does not do."""


def name_for(implementation: str) -> str:
    """Our stand-in. Raises NotForSlots for an implementation that has none."""
    if implementation not in NAMES:
        raise NotForSlots(f"its attention is {implementation!r}; the slots offer {sorted(NAMES)!r}")
    return NAMES[implementation]


def register() -> None:
    """Make both names known to Transformers; may be called again."""
    AttentionInterface.register(NAMES["sdpa"], attend_sdpa)
    AttentionInterface.register(NAMES["eager"], attend_eager)
    for name in NAMES.values():
        AttentionMaskInterface.register(name, make_masks)


def make_masks(
    *,
    mask_function: MaskFunction,
    device: torch.device,
    attention_mask: torch.Tensor | None = None,
    use_vmap: bool = False,
    **_sizes: Any,
) -> StepMasks:
    """Called by the model once per kind of layer and step; every layer gets the result back."""
    if attention_mask is not None or use_vmap:
        raise NotForSlots("it makes its attention masks in a way of its own")
    usual: object = causal_mask_function
    step, causal = running_step(), mask_function is usual
    entries = step.layers[0].keys.shape[2] if step.layers else 0
    return StepMasks(
        0 if causal or not step.decoding else find_window(mask_function, entries),
        tuple(
            None if causal and needs_no_mask(span) else step.mask(span, mask_function, device)
            for span in step.spans
        ),
    )


def find_window(rule: MaskFunction, entries: int) -> int:
    """How many entries a query sees, its own the last of them; 0 where it sees all.

    Raises NotForSlots for a rule that is no such window, tried at positions near and far.
    """
    places = torch.cat([torch.arange(8), torch.linspace(8, entries - 1, 8).long()])
    queries = places.clamp(max=entries - 1)[:, None]
    keys, zero = torch.arange(entries)[None], torch.zeros((), dtype=torch.long)
    seen = rule(zero, zero, queries[None, None], keys[None, None])[0, 0]
    window = int(seen[-1].sum())
    if not torch.equal(seen, (keys <= queries) & (keys > queries - window)):
        raise NotForSlots("its layers see other keys than the latest ones")
    return 0 if window == entries else window


def needs_no_mask(span: Span) -> bool:
    """A whole prompt, whose triangle SDPA knows, or one lone query, which sees all it reads."""
    return span.queries == span.longest or (span.queries == 1 and span.high - span.low == 1)


def attend_sdpa(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: StepMasks,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """``query`` (1, heads, tokens, dim), packed; ``key`` and ``value`` were written by the cache.
    Returns (1, tokens, heads, dim). Softcap (Gemma 2) and sinks (GPT-OSS) leave SDPA aside.
    """
    exact = softcap is not None or s_aux is not None
    states, scores = (query, key, value), Scores(scaling, softcap, s_aux, window_of(attention_mask))
    return attend(module, states, attention_mask, scores, rest, exact=exact), None


def attend_eager(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: StepMasks,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """As ``attend_sdpa``, by plain matrix products throughout."""
    states, scores = (query, key, value), Scores(scaling, softcap, s_aux, window_of(attention_mask))
    return attend(module, states, attention_mask, scores, rest, exact=True), None


def window_of(masks: object) -> int:
    """0 for masks that are none of ours, which are refused further on."""
    return masks.window if isinstance(masks, StepMasks) else 0


def attend(
    module: torch.nn.Module,
    states: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    masks: StepMasks,
    scores: Scores,
    rest: dict[str, Any],
    *,
    exact: bool,
) -> torch.Tensor:
    query, key, value = states
    if torch.compiler.is_compiling():  # of decode steps, whose arguments were checked uncompiled
        attended: torch.Tensor = write_and_attend(
            query,
            key,
            value,
            scores.sinks,
            layer=module.layer_idx,
            scaling=scores.scaling,
            softcap=scores.softcap,
            window=scores.window,
        )
        return attended
    step = running_step()
    kv = check_arguments(step, key, masks, rest)
    if step.kernel and not step.spans:
        return attend_rows(step, query, kv, scores)
    return attend_spans(step, query, kv, masks, scores, exact=exact)


@torch.library.custom_op("enginebay::write_and_attend", mutates_args=())
def write_and_attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    sinks: torch.Tensor | None,
    *,
    layer: int,
    scaling: float | None,
    softcap: float | None,
    window: int,
) -> torch.Tensor:
    """A decode step's attention as one operation for the compiler. The slots that it writes are
    no tensor that compiled code knows of.
    """
    step = running_step()
    kv = step.layers[layer]
    kv.write(key, value, step.places(kv.keys.device))
    return attend_rows(step, query, kv, Scores(scaling, softcap, sinks, window))


@write_and_attend.register_fake
def _(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any
) -> torch.Tensor:
    return query.new_empty(1, query.shape[2], query.shape[1], value.shape[-1])


def attend_rows(step: SlotStep, query: torch.Tensor, kv: KvLayer, scores: Scores) -> torch.Tensor:
    """The decode rows, by the kernel: (1, rows, heads, dim)."""
    assert step.kernel is not None
    queries = query[0, :, : step.decoding].transpose(0, 1)
    rows = step.decode_rows(query.device)
    return step.kernel(queries, kv.keys, kv.values, rows, scores)[None]


def attend_spans(
    step: SlotStep,
    query: torch.Tensor,
    kv: KvLayer,
    masks: StepMasks,
    scores: Scores,
    *,
    exact: bool,
) -> torch.Tensor:
    out = query.new_empty(query.shape[2], query.shape[1], kv.values.shape[-1])
    if step.decoding:
        out[: step.decoding] = attend_rows(step, query, kv, scores)[0]
    for span, mask in zip(step.spans, masks.spans, strict=True):
        keys = kv.keys[span.low : span.high, :, : span.longest]
        values = kv.values[span.low : span.high, :, : span.longest]
        lanes = None if span.dense else step.lanes(span, query.device)
        attended = attend_span(
            spread_queries(query, span, lanes), keys, values, mask, scores, exact=exact
        )
        if lanes is not None:
            attended = attended[lanes]
        out[span.first : span.last] = attended.transpose(1, 2).flatten(0, 1)
    return out[None]


def check_arguments(
    step: SlotStep, key: torch.Tensor, masks: StepMasks, rest: dict[str, Any]
) -> KvLayer:
    unknown = {name for name, given in rest.items() if given is not None} - HARMLESS
    if rest.get("dropout") == 0:
        unknown -= {"dropout"}
    if unknown:
        raise NotForSlots(f"its attention takes {sorted(unknown)!r}")
    if not isinstance(masks, StepMasks):
        raise NotForSlots("it makes its attention masks in a way of its own")
    if step.written is None or step.written.key is not key:
        raise NotForSlots("its attention reads other keys than the layer just cached")
    return step.written.layer


def spread_queries(query: torch.Tensor, span: Span, lanes: torch.Tensor | None) -> torch.Tensor:
    """(slots of the span, heads, queries, dim)."""
    if span.queries > 1:
        return query[:, :, span.first : span.last]
    rows = query[0, :, span.first : span.last].transpose(0, 1)
    if lanes is not None:
        spread = rows.new_zeros(span.high - span.low, *rows.shape[1:])
        spread[lanes] = rows
        rows = spread
    return rows[:, :, None]


def attend_span(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scores: Scores,
    *,
    exact: bool,
) -> torch.Tensor:
    """Query heads that share a key head become more queries of it, so no key is repeated
    (grouped-query attention, arXiv:2305.13245).
    """
    rows, heads, length, dim = queries.shape
    triangle = mask is None and length > 1
    if not exact and (triangle or prefers_vectors(queries, keys)):
        return scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            is_causal=triangle,
            scale=scores.scaling,
            enable_gqa=True,
        )
    if triangle:
        mask = keys.new_ones(length, length, dtype=torch.bool).tril()[None, None]
    group = heads // keys.shape[1]
    packed = queries.reshape(rows, keys.shape[1], group * length, dim)
    if mask is not None and length > 1:
        mask = mask[:, :, None].expand(-1, -1, group, -1, -1).flatten(2, 3)
    if exact:
        attended = attend_exactly(packed, keys, values, mask, scores)
    else:
        attended = scaled_dot_product_attention(
            packed, keys, values, attn_mask=mask, scale=scores.scaling
        )
    return attended.reshape(rows, heads, length, values.shape[-1])


def prefers_vectors(queries: torch.Tensor, keys: torch.Tensor) -> bool:
    """Whether SDPA is left to go from head to head. On a CPU, in bfloat16, it multiplies a lone
    query's keys as vectors, which for two heads takes less time than one small matrix product,
    and for more no less.
    """
    lone = queries.shape[2] == 1 and queries.shape[1] <= 2 * keys.shape[1]
    return lone and queries.dtype == torch.bfloat16 and queries.device.type == "cpu"


def attend_exactly(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scores: Scores,
) -> torch.Tensor:
    """Softmax in float32 over scores that may be capped, with a sink per query head that takes
    weight and gives nothing.
    """
    logits = (queries @ keys.transpose(-1, -2)).float() * scores.scale(queries.shape[-1])
    if scores.softcap is not None:
        logits = torch.tanh(logits / scores.softcap) * scores.softcap
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    length = logits.shape[-1]
    if scores.sinks is not None:
        sinks = scores.sinks.float().view(1, keys.shape[1], -1, 1)
        each = sinks.repeat_interleave(logits.shape[2] // sinks.shape[2], dim=2)
        logits = torch.cat([logits, each.expand(*logits.shape[:3], 1)], dim=-1)
    weights = logits.softmax(dim=-1)[..., :length]
    return weights.to(values.dtype) @ values
