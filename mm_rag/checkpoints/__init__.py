"""Finding, checking and reading checkpoints, in the layout of sentence-transformers."""
