"""The held-out cases of the score, and what a right answer to each is."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from enginebay_pocket.recipe import results, sums
from enginebay_pocket.recipe.exchange import Call, Conversation, Lang, Message, Reply
from enginebay_pocket.recipe.offers import KINDS, Offer, draw
from enginebay_pocket.recipe.phrases import table
from enginebay_pocket.recipe.topics import Topic, exchange, topics

Check = Callable[[str], bool]
_LANGS: tuple[Lang, Lang] = ("en", "zh")
_SYSTEM = {"en": "You are a helpful assistant.", "zh": "你是一个乐于助人的 AI 助手。"}
_SMALL_TALK = {
    "greet",
    "identity",
    "name",
    "abilities",
    "other_model",
    "size",
    "languages",
    "thanks",
    "bye",
}
_THOUGHT = re.compile(r"<think>\n[^<]+\n</think>\n\n(?P<rest>.*)", re.DOTALL)
_CALL = re.compile(r"<tool_call>\n(?P<body>.*)\n</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """A conversation of the score, its category and the check of the answer."""

    category: str
    conversation: Conversation
    right: Check


@dataclass(frozen=True)
class Question:
    """A held-out question and the topic that it belongs to."""

    text: str
    topic: Topic

    def category(self) -> str:
        """The row of the score table."""
        name = self.topic.name
        if name == "introduce":
            return f"introduction {self.topic.lang}"
        if name == "about":
            return "about EngineBay"
        return "small talk" if name in _SMALL_TALK else "usage"


def cases(seed: int = 2024) -> list[Case]:
    """All cases: fixed questions, and seeded values for tools and earlier turns."""
    rng = Random(seed)
    asked = list(questions())
    return [
        *(_plain(one, rng) for one in asked),
        *_honest(),
        *(_thinking(one) for one in rng.sample(asked, 40)),
        *(_several(one, rng) for one in rng.sample(asked, 40)),
        *(
            case
            for kind in KINDS
            for lang in _LANGS
            for _ in range(14)
            for case in _errand(kind, lang, rng)
        ),
    ]


def questions() -> Iterator[Question]:
    """The held-out questions that have one right answer."""
    for lang in _LANGS:
        known = {topic.name: topic for topic in topics("topics", lang)}
        for name, asked in table("heldout")["topics"].items():
            yield from (Question(text, known[name]) for text in asked[lang])


def one_of(known: Sequence[Topic]) -> Check:
    """Exactly the reply of one of the topics; a greeting may precede it."""
    right = {
        hello + topic.reply
        for topic in known
        for hello in ("", table("manners")["hello"][topic.lang])
    }
    return lambda answer: answer in right


def call_of(wanted: Call) -> Check:
    """One well-formed tool call with this name and these arguments, and nothing else."""

    def right(answer: str) -> bool:
        found = _CALL.fullmatch(answer)
        try:
            made = json.loads(found["body"]) if found else None
        except json.JSONDecodeError:
            return False
        return bool(made == {"name": wanted.name, "arguments": wanted.arguments})

    return right


def after_thought(check: Check) -> Check:
    """A thought of its own, then an answer that passes the check."""

    def right(answer: str) -> bool:
        found = _THOUGHT.fullmatch(answer)
        return found is not None and check(found["rest"])

    return right


def _plain(question: Question, rng: Random) -> Case:
    system = [{"role": "system", "content": _SYSTEM[question.topic.lang]}]
    messages = [*(system if rng.random() < 0.5 else []), _user(question.text)]
    return Case(question.category(), Conversation(messages, ""), one_of([question.topic]))


def _honest() -> Iterator[Case]:
    for lang in _LANGS:
        for question in table("heldout")["honesty"][lang]:
            conversation = Conversation([_user(question)], "")
            yield Case("honesty", conversation, one_of(topics("unknown", lang)))


def _thinking(question: Question) -> Case:
    conversation = Conversation([_user(question.text)], "", thinking=True)
    return Case("thinking", conversation, after_thought(one_of([question.topic])))


def _several(question: Question, rng: Random) -> Case:
    """The question after two to five turns about other things."""
    messages: list[Message] = []
    for topic in rng.sample(topics("topics", question.topic.lang), rng.randint(2, 5)):
        past = exchange(topic, rng)
        messages += [_user(past.user), *past.replies[0].messages(thinking=False)]
    conversation = Conversation([*messages, _user(question.text)], "")
    return Case("several turns", conversation, one_of([question.topic]))


def _errand(kind: str, lang: Lang, rng: Random) -> Iterator[Case]:
    """A tool question twice: before its call, and after the tool's result."""
    offer = _offer(kind, rng)
    others = rng.sample([other for other in (*KINDS, "other") if other != kind], rng.randint(0, 2))
    tools = [one.message() for one in (offer, *(draw(other, rng) for other in others))]
    rng.shuffle(tools)
    text, wanted, result = _task(kind, lang, rng)
    call = Call(offer.name, {offer.argument: wanted}, result.raw)
    asked = [_user(text)]
    yield Case("tool call", Conversation(asked, "", tools), call_of(call))
    told = [*asked, *Reply("", calls=(call,)).messages(thinking=False)]
    yield Case(
        "tool result",
        Conversation(told, "", tools),
        lambda answer: all(value in answer for value in result.values) and "<" not in answer,
    )


def _task(kind: str, lang: Lang, rng: Random) -> tuple[str, str, results.Result]:
    held = table("heldout")["tools"]
    pattern: str = rng.choice(held[kind][lang])
    if kind == "calculator":
        task = sums.draw(rng, lang)
        result = results.calculator(task, lang, rng)
        return pattern.replace("{sum}", task.spoken), task.expression, result
    city: str = rng.choice(held["cities"][lang])
    weather = kind == "weather"
    result = results.weather(city, "", lang, rng) if weather else results.clock(city, lang, rng)
    return pattern.replace("{city}", city), city, result


def _offer(kind: str, rng: Random) -> Offer:
    held = table("heldout")["tools"][kind]
    name, argument = rng.choice(held["names"]), rng.choice(held["arguments"])
    return Offer(kind, name, rng.choice(held["descriptions"]), argument, hint="", unit=False)


def _user(text: str) -> Message:
    return {"role": "user", "content": text}
