"""The way of a request, for ``enginebay explain``, ``POST /explain`` and the web page."""

from enginebay_server.explain.token_text import TokenText, token_text, token_texts
from enginebay_server.explain.walk import Walk, begin_walk
from enginebay_server.explain.way import Candidate, Chosen, Way

__all__ = [
    "Candidate",
    "Chosen",
    "TokenText",
    "Walk",
    "Way",
    "begin_walk",
    "token_text",
    "token_texts",
]
