"""The web page: chat with a model, and look at the way of each answer."""

from enginebay_server.page.page import Page, read_page

__all__ = ["Page", "read_page"]
