"""The parts of `benchmarks.collection`."""
