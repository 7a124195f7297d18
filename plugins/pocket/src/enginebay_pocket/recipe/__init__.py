"""The recipe of Pocket: its corpus, tokenizer, training and score."""
