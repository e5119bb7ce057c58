"""A generative reranker reads the tokens that its pairs share once."""
