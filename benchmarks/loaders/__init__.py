"""What the benchmark of loading is made of."""
