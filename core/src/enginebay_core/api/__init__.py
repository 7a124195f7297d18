"""What a plugin may import. Stable: ``docs/stability.md`` says what may change when, and a
snapshot test guards every name and signature here.
"""

from pydantic import JsonValue

from enginebay_core.api.backend import Backend, Progress
from enginebay_core.api.capabilities import (
    GENERATION_FIELDS,
    GRAMMAR_FIELDS,
    Capabilities,
    Capability,
    Support,
    step_capabilities,
)
from enginebay_core.api.conversation import Conversation, Message, Role, ToolCall
from enginebay_core.api.embedding import Embedder, EmbeddingSpec
from enginebay_core.api.errors import (
    ConfigError,
    ContextLengthExceeded,
    EngineBayError,
    EngineClosed,
    EngineCrashed,
    EngineError,
    ModelError,
    ModelNotFound,
    Overloaded,
    PluginBroken,
    PluginConflict,
    PluginError,
    PluginNotFound,
    RequestError,
    UnsupportedField,
)
from enginebay_core.api.generator import (
    EngineStats,
    FinishReason,
    GenerationRequest,
    GenerationStep,
    Generator,
    Limits,
    Measured,
    StepCounter,
    Usage,
)
from enginebay_core.api.grammar import Grammar, Rule, RuleKind, ThinkingSpan
from enginebay_core.api.noise import NOISE_MULTIPLIERS, gumbel, gumbel_argmax, noise_key
from enginebay_core.api.numpy_sampling import NumpySampling, sample_row
from enginebay_core.api.options import EngineOptions, StepOptions
from enginebay_core.api.pooling import Pooling, PoolingRecipe, pool, read_pooling
from enginebay_core.api.sampling import (
    Sampled,
    SamplerMemory,
    SampleRow,
    SamplingParams,
    TokenLogprob,
)
from enginebay_core.api.step import (
    Batching,
    CopyPrefix,
    EngineSpec,
    Free,
    KvOperation,
    Logits,
    Rewind,
    StepBatch,
    StepEngine,
    StepRow,
)
from enginebay_core.api.streamer import Piece, Streamer
from enginebay_core.api.tokenizer import Prompt, Tokenizer

__all__ = [
    "GENERATION_FIELDS",
    "GRAMMAR_FIELDS",
    "NOISE_MULTIPLIERS",
    "Backend",
    "Batching",
    "Capabilities",
    "Capability",
    "ConfigError",
    "ContextLengthExceeded",
    "Conversation",
    "CopyPrefix",
    "Embedder",
    "EmbeddingSpec",
    "EngineBayError",
    "EngineClosed",
    "EngineCrashed",
    "EngineError",
    "EngineOptions",
    "EngineSpec",
    "EngineStats",
    "FinishReason",
    "Free",
    "GenerationRequest",
    "GenerationStep",
    "Generator",
    "Grammar",
    "JsonValue",
    "KvOperation",
    "Limits",
    "Logits",
    "Measured",
    "Message",
    "ModelError",
    "ModelNotFound",
    "NumpySampling",
    "Overloaded",
    "Piece",
    "PluginBroken",
    "PluginConflict",
    "PluginError",
    "PluginNotFound",
    "Pooling",
    "PoolingRecipe",
    "Progress",
    "Prompt",
    "RequestError",
    "Rewind",
    "Role",
    "Rule",
    "RuleKind",
    "SampleRow",
    "Sampled",
    "SamplerMemory",
    "SamplingParams",
    "StepBatch",
    "StepCounter",
    "StepEngine",
    "StepOptions",
    "StepRow",
    "Streamer",
    "Support",
    "ThinkingSpan",
    "TokenLogprob",
    "Tokenizer",
    "ToolCall",
    "UnsupportedField",
    "Usage",
    "gumbel",
    "gumbel_argmax",
    "noise_key",
    "pool",
    "read_pooling",
    "sample_row",
    "step_capabilities",
]
