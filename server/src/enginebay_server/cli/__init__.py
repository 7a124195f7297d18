"""The command ``enginebay``: one file per command, and the nouns they share."""

from enginebay_server.cli.app import main

__all__ = ["main"]
