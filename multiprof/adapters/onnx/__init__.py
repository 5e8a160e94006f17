"""ONNX files, with the onnx package's own parser and shape inference; weights are left where they are."""
