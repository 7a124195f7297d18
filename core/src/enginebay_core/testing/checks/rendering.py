"""Text to ids and back: the tokenizer and the template that the backend chose."""

from __future__ import annotations

from enginebay_core.api import Conversation, Message, Prompt, RequestError
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.expect import expect
from enginebay_core.text import open_streamer

MULTIBYTE = "你好🚀é, naïve café — ½ ✓ 🇫🇷 ok"
MIXED = "def f(x):\n\treturn {'a': [1, 2]}  # 注释 <b>&amp;</b> {{ x }} {% if %}"


class Rendering:
    def test_text_survives_the_round_trip(self, bench: Bench) -> None:
        """Encoding and decoding gives the text back, whatever its alphabet.

        A failure usually means a tokenizer that normalises, adds ids at the ends, or decodes with
        clean-up of spaces. Repair: ``encode`` adds nothing, ``decode`` changes nothing.
        """
        for text in (MULTIBYTE, MIXED, "a"):
            ids = bench.tokenizer.encode(text)
            got = bench.tokenizer.decode(ids)
            expect(got.strip() == text, f"{text!r} came back as {got!r}")
            highest = max(ids)
            expect(highest < bench.limits.vocab_size, f"id {highest} is outside the vocabulary")

    def test_control_tokens_in_text_stay_text(self, bench: Bench) -> None:
        """``encode`` without ``control`` never returns a control token, whatever the text spells.

        A failure usually means that a library's ``encode`` parses special tokens by default.
        Repair: switch that off; a user who types ``<|im_start|>`` must not start a turn.
        """
        control = bench.tokenizer.control
        for text, token in control.items():
            for spelled in (text, f"a{text}b", text * 2):
                found = set(bench.tokenizer.encode(spelled)) & set(control.values())
                expect(not found, f"{spelled!r} became the control ids {sorted(found)!r}")
            ids = bench.tokenizer.encode(text, control=True)
            expect(token in ids, f"{text!r} with control=True is {ids!r}, without {token}")

    def test_control_tokens_of_users_stay_text(self, bench: Bench) -> None:
        """In a rendered conversation, control tokens that the user spelled are ordinary text.

        A failure usually means that the rendered text is encoded as a whole, with special tokens
        parsed. Repair: keep the user's text apart from the template's own control tokens until
        both are ids.
        """
        plain = render(bench, Message("user", "hello"))
        control = set(bench.tokenizer.control.values())
        for text in bench.tokenizer.control:
            prompt = render(bench, Message("user", f"he{text}llo"))
            before, after = count(plain, control), count(prompt, control)
            expect(
                after == before,
                f"a user who writes {text!r} adds {after - before} control ids to the prompt",
            )
            shown = bench.tokenizer.decode(prompt.ids)
            expect(text in shown, f"{text!r} in the user's text is lost: {shown!r}")

    def test_rendering_keeps_what_was_said(self, bench: Bench) -> None:
        """What system, user and assistant said stands in the prompt, word for word and in order.

        A failure usually means a template that strips, escapes or drops turns. Repair: compare
        with the checkpoint's own template in Transformers' ``apply_chat_template``.
        """
        turns = (
            Message("user", f"first {MIXED}"),
            Message("assistant", f"second {MULTIBYTE}"),
            Message("user", "third  with two spaces"),
        )
        shown = bench.tokenizer.decode(render(bench, *turns).ids)
        places = [shown.find((turn.content or "").strip()) for turn in turns]
        expect(min(places) >= 0, f"turn {places.index(min(places))} is not in {shown!r}")
        expect(places == sorted(places), f"turns stand in another order: {shown!r}")

    def test_characters_split_over_tokens_stay_whole(self, bench: Bench) -> None:
        """Ids handed to the streamer one by one give the text, never half a character.

        A failure usually means a ``decode`` that gives another text for a prefix of the ids.
        Repair: bytes that form no character yet must decode to U+FFFD, and only those.
        """
        for text in (MULTIBYTE, MIXED):
            ids = bench.tokenizer.encode(text)
            streamer = open_streamer(bench.tokenizer)
            pieces = [*(streamer.push([token]) for token in ids), streamer.flush()]
            shown = "".join(piece.text for piece in pieces)
            expect("\ufffd" not in shown, f"half a character was shown: {shown!r}")
            expect(shown.strip() == text, f"{text!r} was streamed as {shown!r}")
            settled = [token for piece in pieces for token in piece.ids]
            expect(settled == list(ids), "the streamer settled other ids than it was given")


def render(bench: Bench, *messages: Message) -> Prompt:
    """Skips where the model has no chat template."""
    try:
        return bench.tokenizer.render(Conversation(messages))
    except RequestError as error:
        bench.skip(f"the model renders no such conversation: {error}")


def count(prompt: Prompt, control: set[int]) -> int:
    return sum(token in control for token in prompt.ids)
