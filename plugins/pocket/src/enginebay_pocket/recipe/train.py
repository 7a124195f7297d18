"""Training: the corpus through a small Qwen3, from random weights."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from enginebay_pocket.recipe import vocabulary
from enginebay_pocket.recipe.conversations import conversations
from enginebay_pocket.recipe.drills import drills
from enginebay_pocket.recipe.phrases import characters
from enginebay_pocket.recipe.render import Example, example, prompt

Show = Callable[[str], None]


TEMPERATURE: Final = 0.3
"""What the checkpoint suggests: at 1, one answer in ten of so small a model goes astray."""


@dataclass(frozen=True)
class Settings:
    """The whole recipe in numbers; `batch` counts tokens."""

    seed: int = 7
    steps: int = 2400
    drills: int = 400
    drill_batch: int = 1024
    short: int = 600
    batch: int = 3072
    warmup: int = 60
    muon_rate: float = 4e-3
    adam_rate: float = 3e-3
    hidden: int = 256
    layers: int = 4
    intermediate: int = 640
    lexicon: int = 12_000  # conversations that the tokenizer learns from


def train(folder: Path, settings: Settings, show: Show) -> None:
    """Write a complete checkpoint into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    show("tokenizer: reading the corpus")
    tokenizer = learn_tokenizer(settings)
    vocabulary.save(tokenizer, folder)
    model = build(tokenizer, settings)
    show(f"model: {sum(weight.numel() for weight in model.parameters()):,} parameters")
    fit(model, tokenizer, settings, show)
    save(model, tokenizer, folder)


def learn_tokenizer(settings: Settings) -> Tokenizer:
    """The tokenizer of the corpus that the seed gives."""
    drawn = islice(conversations(settings.seed), settings.lexicon)
    texts = (prompt(one) + one.reply for one in drawn)
    return vocabulary.train(chain(texts, [_alphabet()]))


def _alphabet() -> str:
    """Each character often enough to become a token, so that names are not spelt in bytes."""
    return "".join(f"{char}0" * 400 for char in characters())


def build(tokenizer: Tokenizer, settings: Settings) -> Qwen3ForCausalLM:
    """The model before training."""
    torch.manual_seed(settings.seed)
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=settings.hidden,
        intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.hidden // 64,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=vocabulary.CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=vocabulary.token_id(tokenizer, vocabulary.END),
        pad_token_id=vocabulary.token_id(tokenizer, vocabulary.END_OF_TEXT),
    )
    return Qwen3ForCausalLM(config)


def fit(
    model: Qwen3ForCausalLM, tokenizer: Tokenizer, settings: Settings, show: Show
) -> list[float]:
    """Train in place; gives the loss of every step."""
    optimizers = _optimizers(model, settings)
    losses: list[float] = []
    began = time.monotonic()
    model.train()
    for step, batch in enumerate(islice(batches(tokenizer, settings), settings.steps)):
        rate = schedule(step, settings)
        loss = _loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 20 == 0 or step + 1 == settings.steps:
            show(_progress(losses, settings.steps, time.monotonic() - began))
    return losses


def save(model: Qwen3ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Round to float16 and write weights and configuration."""
    end = vocabulary.token_id(tokenizer, vocabulary.END)
    pad = vocabulary.token_id(tokenizer, vocabulary.END_OF_TEXT)
    model.generation_config = GenerationConfig.from_dict(
        {
            "eos_token_id": [end, pad],
            "pad_token_id": pad,
            "do_sample": True,
            "temperature": TEMPERATURE,
        }
    )
    model.half()  # type: ignore[no-untyped-call]  # Transformers leaves it unannotated
    model.save_pretrained(folder)


def batches(tokenizer: Tokenizer, settings: Settings) -> Iterator[list[Example]]:
    """Three lessons: to copy, to tell questions apart, to hold conversations.

    Some drills stay among the others, for copying is soon forgotten.
    """
    rng = random.Random(settings.seed)
    usable = vocabulary.token_id(tokenizer, vocabulary.END_OF_TEXT)
    copying = drills(usable, settings.drills, settings.drill_batch, rng)
    yield from islice(copying, settings.drills)
    seeds = settings.seed + 1, settings.seed + 2
    short, full = (
        _by_length((example(one, tokenizer) for one in drawn), settings.batch, rng)
        for drawn in (conversations(seeds[0], short=1.0), conversations(seeds[1]))
    )
    for step, batch in enumerate(chain(islice(short, settings.short), full)):
        yield batch
        if step % 10 == 9:
            yield next(copying)


def _by_length(
    examples: Iterator[Example], budget: int, rng: random.Random
) -> Iterator[list[Example]]:
    """Batches of similar length, each with as many examples as the token budget takes."""
    while True:
        pool = sorted(islice(examples, 512), key=lambda one: len(one.ids))
        cut = list(_cut(pool, budget))
        rng.shuffle(cut)
        yield from cut


def schedule(step: int, settings: Settings) -> float:
    """Linear warm-up, then a cosine down to nothing."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return float(0.5 * (1 + torch.cos(torch.tensor(done * torch.pi))))


def _optimizers(
    model: Qwen3ForCausalLM, settings: Settings
) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the matrices inside, AdamW for the embedding and the norms."""
    inner = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    known = {id(weight) for weight in inner}
    outer = [weight for weight in model.parameters() if id(weight) not in known]
    muon = torch.optim.Muon(
        inner, lr=settings.muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.AdamW(outer, lr=settings.adam_rate, betas=(0.9, 0.95), weight_decay=0.01)
    return [(muon, settings.muon_rate), (adam, settings.adam_rate)]


def _loss(model: Qwen3ForCausalLM, batch: list[Example]) -> torch.Tensor:
    """Mean over the tokens that count. Padding is at the right, where causality hides it."""
    width = max(len(one.ids) for one in batch)
    ids = torch.tensor([one.ids + [0] * (width - len(one.ids)) for one in batch])
    counts = torch.tensor([one.counts + [False] * (width - len(one.counts)) for one in batch])
    hidden = model.model(input_ids=ids).last_hidden_state
    chosen = counts[:, 1:]
    logits = model.lm_head(hidden[:, :-1][chosen])
    return cross_entropy(logits, ids[:, 1:][chosen])


def _cut(pool: list[Example], budget: int) -> Iterator[list[Example]]:
    batch: list[Example] = []
    for one in pool:
        if batch and (len(batch) + 1) * len(one.ids) > budget:
            yield batch
            batch = []
        batch.append(one)
    yield batch


def _progress(losses: list[float], steps: int, elapsed: float) -> str:
    done = len(losses)
    recent = losses[-20:]
    left = elapsed / done * (steps - done)
    return (
        f"step {done}/{steps}  loss {sum(recent) / len(recent):.4f}  "
        f"elapsed {elapsed / 60:.1f} min  remaining {left / 60:.1f} min"
    )
