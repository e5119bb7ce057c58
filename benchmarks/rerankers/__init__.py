"""What `benchmarks.reranking` is made of: checkpoints, material, cases, timing, the table."""
