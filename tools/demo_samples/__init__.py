"""Draw the sample files of `mm-rag demo`, which are committed in mm_rag/demo/samples/."""
