"""The files of models: found, checked, and loaded into transformers; everything below a module."""
