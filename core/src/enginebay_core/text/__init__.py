"""Text and conversations to ids, and ids back to text as they come.

Imports nothing that core alone lacks: the Hugging Face tokenizer asks for its extra when loaded.
"""

from enginebay_core.text.byte_tokenizer import ByteTokenizer
from enginebay_core.text.canary import TemplateFacts, probe_template
from enginebay_core.text.frame import Frame, frame_of
from enginebay_core.text.hf_tokenizer import HuggingFaceTokenizer
from enginebay_core.text.stops import StopMatcher
from enginebay_core.text.streamer import open_streamer
from enginebay_core.text.token_bytes import token_bytes
from enginebay_core.text.vocabulary import spell_vocabulary

__all__ = [
    "ByteTokenizer",
    "Frame",
    "HuggingFaceTokenizer",
    "StopMatcher",
    "TemplateFacts",
    "frame_of",
    "open_streamer",
    "probe_template",
    "spell_vocabulary",
    "token_bytes",
]
