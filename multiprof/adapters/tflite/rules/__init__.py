"""The rules of TFLite's operators, one module a family; importing them fills the table."""

from __future__ import annotations

from multiprof.adapters.tflite.rules import (  # noqa: F401  # each fills the table
    activation,
    control,
    conv,
    creation,
    custom,
    elementwise,
    index,
    linear,
    pool,
    recurrent,
    reduction,
    shape,
    stablehlo,
)
from multiprof.adapters.tflite.rules._table import CUSTOM_RULES, RULES

# Builtin operators without a rule, each with its reason: they come out as foreign layers, without a cost.
UNSUPPORTED = {
    "LSH_PROJECTION": "hashes of strings and tensors: no arithmetic of a network",
    "SKIP_GRAM": "n-grams of texts",
    "HASHTABLE_LOOKUP": "a search among keys, whose number of comparisons depends on the values",
    "HASHTABLE": "a table of keys outside the graph",
    "HASHTABLE_FIND": "a search in such a table",
    "HASHTABLE_IMPORT": "filling such a table",
    "HASHTABLE_SIZE": "the size of such a table",
    "CONCAT_EMBEDDINGS": "the runtime has no kernel for it",
    "DELEGATE": "an operator of another runtime, whose work the file does not show",
    "CUSTOM": "named by its own code; see the rules of custom operators",
    "PLACEHOLDER_FOR_GREATER_OP_CODES": "no operator: it marks numbers above 127 for old readers",
}

__all__ = ["CUSTOM_RULES", "RULES", "UNSUPPORTED"]
