"""Write a checkpoint of ``checkpoint.py`` as GGUF: ``gguf_file.py DIRECTORY FILE``.

Runs in llama.cpp's environment, which has gguf and numpy and neither torch nor this repository.
"""

import json
import sys
from pathlib import Path
from typing import Any

import gguf  # type: ignore[import-not-found, unused-ignore]  # in an environment of its own
import numpy as np

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def main() -> None:
    directory, target = Path(sys.argv[1]), Path(sys.argv[2])
    config = json.loads((directory / "config.json").read_text())
    writer = gguf.GGUFWriter(str(target), "qwen3")
    describe(writer, config)
    add_tokenizer(writer, directory)
    for file in sorted(directory.glob("*.safetensors")):
        for name, bits in read_tensors(file):
            add_tensor(writer, name, bits)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe(writer: Any, config: dict[str, Any]) -> None:
    theta = (config.get("rope_parameters") or config)["rope_theta"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(theta)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def add_tokenizer(writer: Any, directory: Path) -> None:
    """The longest match first, which among pieces of one length is the only one there is.

    The server takes "" for the stop token where there is none, and stops at once: so the last
    piece, which one answer in thousands will have, is made one.
    """
    vocabulary = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    template = json.loads((directory / "tokenizer_config.json").read_text())["chat_template"]
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list(sorted(vocabulary, key=lambda text: vocabulary[text]))
    writer.add_eos_token_id(len(vocabulary) - 1)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocabulary))
    writer.add_chat_template(template)


def read_tensors(file: Path) -> Any:
    """Names and bit patterns of the bfloat16 tensors in a safetensors file."""
    raw = np.memmap(file, dtype=np.uint8, mode="r")
    size = int(raw[:8].view(np.uint64)[0])
    header = json.loads(raw[8 : 8 + size].tobytes())
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", (name, entry["dtype"])
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        yield name, np.frombuffer(raw[start:end].tobytes(), np.uint16).reshape(entry["shape"])


def add_tensor(writer: Any, name: str, bits: Any) -> None:
    """Matrices stay as they are; llama.cpp wants vectors in float32."""
    *place, kind = name.split(".")
    words = ".".join(place)
    layer = words.removeprefix("model.layers.").partition(".")
    inside = layer[2] if words.startswith("model.layers.") else words
    prefix = f"blk.{layer[0]}." if words.startswith("model.layers.") else ""
    target = f"{prefix}{NAMES[inside]}.{kind}"
    if bits.ndim == 1:
        writer.add_tensor(target, (bits.astype(np.uint32) << 16).view(np.float32))
        return
    bf16 = gguf.GGMLQuantizationType.BF16
    writer.add_tensor(target, bits.view(np.uint8), raw_dtype=bf16)


if __name__ == "__main__":
    main()
