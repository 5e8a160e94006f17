"""One module per runtime, imported in the worker alone: each loads a model and runs it."""
