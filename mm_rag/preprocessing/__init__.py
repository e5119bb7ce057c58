"""Content into the tensors that a model takes: chat template, media, tokens, batches."""
