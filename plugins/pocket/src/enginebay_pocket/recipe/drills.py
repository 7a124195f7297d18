"""Copying drills: random tokens said again and again, before any conversation.

A small model learns to copy from conversations late or never. From repetition it learns it within
a few hundred steps, if the lessons grow: first few tokens at one distance, then all tokens, then
any distance. Drills on a handful of tokens teach to look at more than the last one, as digits need.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random

from enginebay_pocket.recipe.render import Example

WIDTH = 64
_FEW = 256
_HANDFUL = 12
_LENGTHS = (8, 12, 16, 24, 32)


def drills(vocabulary: int, steps: int, budget: int, rng: Random) -> Iterator[list[Example]]:
    """Batches without end; the lessons have grown to their full width after so many steps."""
    for step in count():
        grown = step >= 0.4 * steps
        usable = range(_FEW if step < 0.2 * steps else vocabulary)
        handful = grown and step % 2
        yield [
            _drill(
                rng.sample(usable, _HANDFUL) if handful else usable,
                rng.choice(_LENGTHS if grown else (WIDTH // 2,)),
                rng,
            )
            for _ in range(max(1, budget // WIDTH))
        ]


def _drill(usable: Sequence[int], length: int, rng: Random) -> Example:
    once = [rng.choice(usable) for _ in range(length)]
    known = length + 1  # the first repeated token cannot be foreseen
    ids = (once * (WIDTH // length + 1))[:WIDTH]
    return Example(ids, [False] * known + [True] * (WIDTH - known))
