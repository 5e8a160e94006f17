"""The rules of every operator: one file per family, each with tables ``RULES`` (ai.onnx) and, where it has any,
``CONTRIB`` (com.microsoft) from operator to rule, and ``INFER`` ((domain, operator) to shapes)."""
