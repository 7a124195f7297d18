"""``/v1/responses``: a chat in other words. A request becomes a chat request, and so takes its
whole way; the answer is told in items and events.
"""

from enginebay_server.responses.body import ResponseBody
from enginebay_server.responses.chat import ChatTurn, chat_turn
from enginebay_server.responses.shape import ResponseShape

__all__ = ["ChatTurn", "ResponseBody", "ResponseShape", "chat_turn"]
