"""The models of a server and what state they are in."""

from enginebay_server.models.table import ModelEntry, ModelTable, State

__all__ = ["ModelEntry", "ModelTable", "State"]
