"""A chat with a remote model: what was said so far, and how it goes on."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from enginebay_core.plugins.suggest import suggest
from enginebay_server.cli.remote import Bit, Remote, RemoteError
from enginebay_server.cli.terminal import Terminal

HELP: Final = """\
/new            forget what was said
/system [TEXT]  show or set the system message
/model [NAME]   show or set the model
/help           this
/exit           end (so does Ctrl-D); Ctrl-C stops an answer"""
COMMANDS: Final = ("/new", "/system", "/model", "/help", "/exit")


@dataclass
class Reply:
    """What came of one answer, and when."""

    asked_at: float = field(default_factory=time.monotonic)
    first_at: float | None = None
    last_at: float = 0.0
    content: list[str] = field(default_factory=list)
    thought: bool = False
    tokens: int | None = None

    def take(self, bit: Bit) -> None:
        if bit.tokens is not None:
            self.tokens = bit.tokens
        if bit.content or bit.reasoning:
            self.last_at = time.monotonic()
            self.first_at = self.first_at or self.last_at
        if bit.content:
            self.content.append(bit.content)

    def summary(self) -> str:
        """``37 tokens, 52.1 tokens/s, the first after 0.08 s``; what is not known is left out."""
        parts: list[str] = []
        if self.tokens is not None:
            parts.append(f"{self.tokens} tokens")
        if self.first_at is not None:
            seconds = self.last_at - self.first_at
            if self.tokens is not None and self.tokens > 1 and seconds > 0:
                parts.append(f"{(self.tokens - 1) / seconds:.1f} tokens/s")
            parts.append(f"the first after {self.first_at - self.asked_at:.2f} s")
        return ", ".join(parts) or "an empty answer"


class Dialogue:
    """An answer that was stopped or broke off stays as far as it came; a question without one is
    forgotten.
    """

    def __init__(self, remote: Remote, model: str, system: str | None, terminal: Terminal) -> None:
        self._remote = remote
        self._model = model
        self._system = system
        self._terminal = terminal
        self._turns: list[dict[str, str]] = []

    def run(self) -> bool:
        """Until the lines end. Whether every answer came."""
        if self._terminal.interactive:
            self._terminal.note(f"{self._model} at {self._remote.url}; /help lists the commands")
        fine = True
        for line in self._terminal.lines():
            text = line.strip()
            if text == "/exit":
                break
            fine &= self._take(text)
        return fine

    def ask(self, text: str) -> bool:
        """One turn. Whether the answer came to its end; interrupting it stops the generation."""
        self._turns.append({"role": "user", "content": text})
        reply = Reply()
        try:
            self._stream(reply)
        except RemoteError as error:
            self._terminal.complain(str(error))
            return False
        self._terminal.note(reply.summary())
        return True

    def _take(self, line: str) -> bool:
        """Ctrl-C at a terminal stops the answer only."""
        if line.startswith("/"):
            return self._obey(line)
        try:
            return self.ask(line) if line else True
        except KeyboardInterrupt:
            if not self._terminal.interactive:
                raise
            self._terminal.note("stopped")
            return True

    def _stream(self, reply: Reply) -> None:
        try:
            with closing(self._remote.answer(self._model, self._messages())) as bits:
                for bit in bits:
                    self._show(bit, reply)
                    reply.take(bit)
        finally:
            self._end_line(reply)
            self._remember(reply)

    def _remember(self, reply: Reply) -> None:
        if reply.content:
            self._turns.append({"role": "assistant", "content": "".join(reply.content)})
        else:
            self._turns.pop()

    def _messages(self) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self._system}] if self._system else []
        return system + self._turns

    def _show(self, bit: Bit, reply: Reply) -> None:
        if bit.reasoning:
            self._terminal.thinking(bit.reasoning)
            reply.thought = True
        if bit.content:
            if reply.thought and not reply.content:
                self._terminal.thinking("\n\n")
            self._terminal.answer(bit.content)

    def _end_line(self, reply: Reply) -> None:
        if reply.content:
            self._terminal.answer("\n")
        elif reply.thought:
            self._terminal.thinking("\n")

    def _obey(self, text: str) -> bool:
        command, _, rest = text.partition(" ")
        rest = rest.strip()
        if command == "/new":
            self._turns.clear()
        elif command == "/system":
            self._system = rest or self._system
            self._terminal.note(f"system: {self._system or 'none'}")
        elif command == "/model":
            return self._choose_model(rest)
        elif command == "/help":
            self._terminal.note(HELP)
        else:
            near = suggest(command, COMMANDS)
            meant = f"did you mean {near}?" if near else "/help lists the commands"
            self._terminal.complain(f"there is no {command}; {meant}")
            return False
        return True

    def _choose_model(self, name: str) -> bool:
        try:
            listed = [str(model["id"]) for model in self._remote.models()]
        except RemoteError as error:
            self._terminal.complain(str(error))
            return False
        if name and name not in listed:
            self._terminal.complain(f"no model {name!r} there; it has {', '.join(listed)}")
            return False
        self._model = name or self._model
        self._terminal.note(f"model: {self._model} (of {', '.join(listed)})")
        return True
