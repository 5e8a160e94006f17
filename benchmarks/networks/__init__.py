"""The networks that the benchmarks measure: the same ones in PyTorch and in Keras, with random weights."""
