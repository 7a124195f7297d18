"""A loop without HTTP is asked in lines, and what it prints goes to its log."""

import sys
from pathlib import Path

from tests.benchmarks.peers.looped import Looped
from tests.benchmarks.processes import Child
from tests.benchmarks.wave import Ask, require_whole

COUNTING = """
import time
from tests.benchmarks.loop import Made, answer_waves

class Counting:
    def prepare(self, asks):
        print("prepared", len(asks))

    def run(self, asks):
        made = [Made(time.monotonic()) for _ in asks]
        for ask, stream in zip(asks, made):
            stream.add(time.monotonic(), *ask.ids[: ask.max_tokens])
        return made

answer_waves(Counting)
"""


def test_waves_are_answered_in_their_order(tmp_path: Path) -> None:
    wave = [Ask(((7, 8, 9),), 2), Ask(((5, 6),), 3)]
    with Child([sys.executable, "-c", COUNTING], tmp_path / "log", pipes=True) as child:
        child.hear()
        looped = Looped("counting", child)
        looped.prepare(wave)
        answers = looped.run(wave)
        require_whole(wave, answers)
    assert [answer.text for answer in answers] == ["A001A007", "A001A005A006"]
    assert "prepared 2" in child.tail()
