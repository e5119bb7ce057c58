"""Parts of `benchmarks.collection`."""
