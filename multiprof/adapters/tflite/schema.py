"""The schema of TensorFlow Lite files as data: operators, element types, and the fields of every table that is read.

Source: ``schema.fbs`` of LiteRT (version 3 of the format). Its tables only ever grow at their end, so that what stands
here reads older and newer files alike. The tests compare it slot by slot with the classes that the FlatBuffers compiler
makes of the schema.
"""

from __future__ import annotations

from functools import cache
from typing import Any

# BuiltinOperator, by number. A code beyond the list is newer than this schema and has no name here.
_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG
SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE
MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO
RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE
RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
OPERATORS: tuple[str, ...] = tuple(_OPERATORS.split())
CUSTOM, PLACEHOLDER = OPERATORS.index("CUSTOM"), OPERATORS.index("PLACEHOLDER_FOR_GREATER_OP_CODES")

# TensorType, by number, and the name of the element type here; texts, handles and lists have none.
TYPES: tuple[tuple[str, str], ...] = (
    ("FLOAT32", "float32"), ("FLOAT16", "float16"), ("INT32", "int32"), ("UINT8", "uint8"), ("INT64", "int64"),
    ("STRING", ""), ("BOOL", "bool"), ("INT16", "int16"), ("COMPLEX64", "complex64"), ("INT8", "int8"),
    ("FLOAT64", "float64"), ("COMPLEX128", "complex128"), ("UINT64", "uint64"), ("RESOURCE", ""), ("VARIANT", ""),
    ("UINT32", "uint32"), ("UINT16", "uint16"), ("INT4", "int4"), ("BFLOAT16", "bfloat16"), ("INT2", "int2"),
    ("UINT4", "uint4"), ("FLOAT8_E4M3FN", "float8_e4m3fn"), ("FLOAT8_E5M2", "float8_e5m2"),
)  # fmt: skip

# The members of the two unions of options, by number (0 is none), those without fields left out.
UNION: dict[int, str] = {
    1: "Conv2D", 2: "DepthwiseConv2D", 3: "ConcatEmbeddings", 4: "LSHProjection", 5: "Pool2D", 6: "SVDF", 7: "RNN",
    8: "FullyConnected", 9: "Softmax", 10: "Concatenation", 11: "Add", 12: "L2Norm", 13: "LocalResponseNormalization",
    14: "LSTM", 15: "ResizeBilinear", 16: "Call", 17: "Reshape", 18: "SkipGram", 19: "SpaceToDepth",
    20: "EmbeddingLookupSparse", 21: "Mul", 23: "Gather", 27: "Reducer", 28: "Sub", 29: "Div", 30: "Squeeze",
    31: "SequenceRNN", 32: "StridedSlice", 35: "Split", 37: "Cast", 40: "ArgMax", 49: "TransposeConv",
    50: "SparseToDense", 55: "Shape", 57: "ArgMin", 58: "FakeQuant", 59: "Pack", 61: "OneHot", 64: "Unpack",
    69: "BidirectionalSequenceLSTM", 70: "BidirectionalSequenceRNN", 71: "UnidirectionalSequenceLSTM",
    74: "ResizeNearestNeighbor", 75: "LeakyRelu", 77: "MirrorPad", 79: "SplitV", 80: "Unique", 87: "ReverseSequence",
    92: "If", 93: "While", 94: "DepthToSpace", 101: "BatchMatMul", 102: "Cumsum", 103: "CallOnce", 106: "Conv3D",
    107: "Hashtable", 111: "VarHandle", 114: "Random", 115: "Bucketize", 116: "Gelu",
}  # fmt: skip
UNION2: dict[int, str] = {
    1: "StablehloConcatenate", 2: "StablehloBroadcastInDim", 3: "StablehloSlice", 4: "StablehloConvolution",
    5: "StablehloCustomCall", 6: "StablehloReduce", 7: "StablehloScatter", 8: "StablehloCompare",
    9: "StablehloDynamicSlice", 10: "StablehloPad", 11: "StablehloIota", 12: "StablehloDotGeneral",
    13: "StablehloReduceWindow", 14: "StablehloSort", 15: "StablehloWhile", 16: "StablehloGather",
    17: "StablehloTranspose", 19: "StablehloRngBitGenerator", 20: "ReduceWindow", 21: "StableHLOComposite",
    23: "StablehloCase",
}  # fmt: skip

# Fields in the order of their slots, ``name:type`` or ``name:type=default``; [type] is a vector, _ a slot that is not
# read. The option tables are named without their suffix ``Options``.
_FUSED = "fused_activation_function:i8"
FIELDS: dict[str, str] = {
    "Conv2D": f"padding:i8 stride_w:i32 stride_h:i32 {_FUSED} dilation_w_factor:i32=1 dilation_h_factor:i32=1",
    "DepthwiseConv2D": f"padding:i8 stride_w:i32 stride_h:i32 depth_multiplier:i32 {_FUSED} "
    "dilation_w_factor:i32=1 dilation_h_factor:i32=1",
    "ConcatEmbeddings": "num_channels:i32 num_columns_per_channel:[i32] embedding_dim_per_channel:[i32]",
    "LSHProjection": "type:i8",
    "Pool2D": f"padding:i8 stride_w:i32 stride_h:i32 filter_width:i32 filter_height:i32 {_FUSED}",
    "SVDF": f"rank:i32 {_FUSED}",
    "RNN": _FUSED,
    "FullyConnected": f"{_FUSED} weights_format:i8 keep_num_dims:bool",
    "Softmax": "beta:f32",
    "Concatenation": f"axis:i32 {_FUSED}",
    "Add": _FUSED,
    "L2Norm": _FUSED,
    "LocalResponseNormalization": "radius:i32 bias:f32 alpha:f32 beta:f32",
    "LSTM": f"{_FUSED} cell_clip:f32 proj_clip:f32 kernel_type:i8",
    "ResizeBilinear": "_ _ align_corners:bool half_pixel_centers:bool",
    "Call": "subgraph:u32",
    "Reshape": "new_shape:[i32]",
    "SkipGram": "ngram_size:i32 max_skip_size:i32 include_all_ngrams:bool",
    "SpaceToDepth": "block_size:i32",
    "EmbeddingLookupSparse": "combiner:i8",
    "Mul": _FUSED,
    "Gather": "axis:i32 batch_dims:i32",
    "Reducer": "keep_dims:bool",
    "Sub": _FUSED,
    "Div": _FUSED,
    "Squeeze": "squeeze_dims:[i32]",
    "SequenceRNN": f"time_major:bool {_FUSED}",
    "StridedSlice": "begin_mask:i32 end_mask:i32 ellipsis_mask:i32 new_axis_mask:i32 shrink_axis_mask:i32 offset:bool",
    "Split": "num_splits:i32",
    "Cast": "in_data_type:i8 out_data_type:i8",
    "ArgMax": "output_type:i8",
    "TransposeConv": f"padding:i8 stride_w:i32 stride_h:i32 {_FUSED}",
    "SparseToDense": "validate_indices:bool",
    "Shape": "out_type:i8",
    "ArgMin": "output_type:i8",
    "FakeQuant": "min:f32 max:f32 num_bits:i32 narrow_range:bool",
    "Pack": "values_count:i32 axis:i32",
    "OneHot": "axis:i32",
    "Unpack": "num:i32 axis:i32",
    "BidirectionalSequenceLSTM": f"{_FUSED} cell_clip:f32 proj_clip:f32 merge_outputs:bool time_major:bool=1",
    "BidirectionalSequenceRNN": f"time_major:bool {_FUSED} merge_outputs:bool",
    "UnidirectionalSequenceLSTM": f"{_FUSED} cell_clip:f32 proj_clip:f32 time_major:bool _ "
    "diagonal_recurrent_tensors:bool",
    "ResizeNearestNeighbor": "align_corners:bool half_pixel_centers:bool",
    "LeakyRelu": "alpha:f32",
    "MirrorPad": "mode:i8",
    "SplitV": "num_splits:i32",
    "Unique": "idx_out_type:i8=2",
    "ReverseSequence": "seq_dim:i32 batch_dim:i32",
    "If": "then_subgraph_index:i32 else_subgraph_index:i32",
    "While": "cond_subgraph_index:i32 body_subgraph_index:i32",
    "DepthToSpace": "block_size:i32",
    "BatchMatMul": "adj_x:bool adj_y:bool",
    "Cumsum": "exclusive:bool reverse:bool",
    "CallOnce": "init_subgraph_index:i32",
    "Conv3D": f"padding:i8 stride_d:i32 stride_w:i32 stride_h:i32 {_FUSED} "
    "dilation_d_factor:i32=1 dilation_w_factor:i32=1 dilation_h_factor:i32=1",
    "Hashtable": "table_id:i32 key_dtype:i8 value_dtype:i8",
    "VarHandle": "container:string shared_name:string",
    "Random": "seed:i64 seed2:i64",
    "Bucketize": "boundaries:[f32]",
    "Gelu": "approximate:bool",
    "StablehloConcatenate": "dimension:i64",
    "StablehloBroadcastInDim": "broadcast_dimensions:[i64]",
    "StablehloSlice": "start_indices:[i64] limit_indices:[i64] strides:[i64]",
    "StablehloConvolution": "window_strides:[i64] padding:[i64] lhs_dilation:[i64] rhs_dilation:[i64] "
    "window_reversal:[bool] input_batch_dimension:i64 input_feature_dimension:i64 input_spatial_dimensions:[i64] "
    "kernel_input_feature_dimension:i64 kernel_output_feature_dimension:i64 kernel_spatial_dimensions:[i64] "
    "output_batch_dimension:i64 output_feature_dimension:i64 output_spatial_dimensions:[i64] "
    "feature_group_count:i64 batch_group_count:i64",
    "StablehloCustomCall": "call_target_name:string",
    "StablehloReduce": "dimensions:[i64] body_subgraph_index:i32",
    "StablehloScatter": "_ update_window_dims:[i64] inserted_window_dims:[i64] scatter_dims_to_operand_dims:[i64] "
    "index_vector_dim:i64 unique_indices:bool update_computation_subgraph_index:i32",
    "StablehloCompare": "comparison_direction:u32 compare_type:u32",
    "StablehloDynamicSlice": "slice_sizes:[i64]",
    "StablehloPad": "edge_padding_low:[i64] edge_padding_high:[i64] interior_padding:[i64]",
    "StablehloIota": "iota_dimension:i64",
    "StablehloDotGeneral": "lhs_batching_dimensions:[i64] rhs_batching_dimensions:[i64] "
    "lhs_contracting_dimensions:[i64] rhs_contracting_dimensions:[i64]",
    "StablehloReduceWindow": "window_dimensions:[i64] window_strides:[i64] base_dilations:[i64] "
    "window_dilations:[i64] padding:[i64] body_subgraph_index:i32",
    "StablehloSort": "dimension:i64 is_stable:bool comparator_subgraph_index:i32",
    "StablehloWhile": "cond_subgraph_index:i32 body_subgraph_index:i32",
    "StablehloGather": "offset_dims:[i64] collapsed_slice_dims:[i64] start_index_map:[i64] index_vector_dim:i64 "
    "slice_sizes:[i64]",
    "StablehloTranspose": "permutation:[i64]",
    "StablehloRngBitGenerator": "algorithm:i8",
    "ReduceWindow": "reduce_function:i32",
    "StableHLOComposite": "name:string decomposition_subgraph_index:i32",
    "StablehloCase": "branch_subgraph_indices:[i32]",
}

# The options an operator takes where they are not named like it.
_OPTIONS_OF: dict[str, str] = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "Pool2D"),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ANY", "REDUCE_ALL"), "Reducer"),
    **dict.fromkeys(("RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "MULTINOMIAL"), "Random"),
    "CONV_3D_TRANSPOSE": "Conv3D",
    "L2_NORMALIZATION": "L2Norm",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNN",
    "BATCH_MATMUL": "BatchMatMul",
}
_BY_NAME = {name.upper(): name for name in FIELDS}

Field = tuple[str, int, str, Any]  # name, slot, type, default


@cache
def fields(table: str) -> tuple[Field, ...]:
    """The fields of an options table; vectors and strings are empty by default."""
    found: list[Field] = []
    for slot, entry in enumerate(FIELDS[table].split()):
        if entry == "_":
            continue
        name, _, kind = entry.partition(":")
        kind, _, default = kind.partition("=")
        value: Any = () if kind[0] == "[" else "" if kind == "string" else int(default or 0)
        found.append((name, slot, kind, value))
    return tuple(found)


@cache
def options_of(operator: str) -> str:
    """The options table of an operator, empty where it has none with fields."""
    return _OPTIONS_OF.get(operator) or _BY_NAME.get(operator.replace("_", ""), "")


__all__ = ["CUSTOM", "FIELDS", "OPERATORS", "PLACEHOLDER", "TYPES", "UNION", "UNION2", "fields", "options_of"]
