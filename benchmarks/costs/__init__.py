"""Parts of the benchmark of costs."""
