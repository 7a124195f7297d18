"""The models of a server and what state they are in."""

from enginebay_server.models.table import CLOSE_SECONDS, ModelEntry, ModelTable, State

__all__ = ["CLOSE_SECONDS", "ModelEntry", "ModelTable", "State"]
