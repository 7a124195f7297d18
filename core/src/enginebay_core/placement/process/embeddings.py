"""Vectors from another process."""

from __future__ import annotations

from enginebay_core.api import EmbeddingSpec
from enginebay_core.engine import Embeddings
from enginebay_core.engine.mailbox import Mailbox
from enginebay_core.placement.process.supervisor import Supervisor


class ProcessEmbeddings(Embeddings):
    """Owns the process from here on."""

    def __init__(self, supervisor: Supervisor, spec: EmbeddingSpec) -> None:
        super().__init__(spec)
        self.supervisor = supervisor

    @property
    def waiting(self) -> int:
        """Inputs that are not yet under way, as last reported."""
        return self.supervisor.work.waiting

    @property
    def running(self) -> int:
        """Inputs under way, those included that the embedder is yet to let go of."""
        return self.supervisor.work.running

    def close(self) -> None:
        """Blocks until the process is gone."""
        self.supervisor.close()

    def _submit(self, ids: tuple[int, ...], mailbox: Mailbox, *, leads: bool) -> int:
        return self.supervisor.embed(ids, mailbox, leads=leads)

    def _cancel(self, ticket: int) -> None:
        self.supervisor.cancel(ticket)
