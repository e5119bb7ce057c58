"""Parts of `benchmarks.loading`."""
