"""Parts of `benchmarks.reranking`."""
