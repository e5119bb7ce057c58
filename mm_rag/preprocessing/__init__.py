"""Turn Content into the tensors of a batch: chat templates, media, tokens."""
