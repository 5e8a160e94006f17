"""THE VOCABULARY: every canonical op, its roles, its attributes and its meaning. Data, no logic.

An adapter translates into these names, a formula reads them, and neither knows the other. In a role list ``?`` marks
an optional role and ``*`` a variadic one (``x*`` stands for ``x0, x1, …``). Every attribute is optional for formulas
unless its text begins with "required".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Op:
    """A canonical operation: ``inputs`` and ``outputs`` are its roles, ``attrs`` its attributes with their meaning."""

    name: str
    family: str
    summary: str
    inputs: tuple[str, ...] = ("x",)
    outputs: tuple[str, ...] = ("y",)
    attrs: Mapping[str, str] = field(default_factory=dict)


_WINDOW = {
    "kernel_size": "required: tuple, one per spatial dimension",
    "stride": "tuple",
    "padding": "tuple of (before, after) pairs",
    "dilation": "tuple",
    "data_format": "order of x and y, e.g. NCHW, NHWC, NCL",
}
_CONV = _WINDOW | {
    "groups": "required: G",
    "in_channels": "required: C_i of the whole layer",
    "out_channels": "required: C_o of the whole layer",
    "padding_mode": "zeros unless said",
}
_POOL = _WINDOW | {"ceil_mode": "whether the output size is rounded up"}
_AXES = {"axis": "tuple of the reduced axes, non-negative", "keepdim": "bool"}
_RECURRENT = {
    "steps": "required: S, the sum of the sequence lengths over the batch (N·T when unpacked)",
    "input_size": "required: C_i",
    "hidden_size": "required: H",
    "reverse": "bool: runs over the sequence backwards",
    "batch_first": "bool, order of x and y",
    "batch_sizes": "tuple: how many sequences are still running at each step, where x is packed",
}
_NORM = {"eps": "float"}
_QUANT = {"axis": "int: there is a scale for each position along it", "dtype": "of y"}

_TABLE: tuple[Op, ...] = (
    # contractions
    Op("conv", "convolution", "convolution of any rank, with groups and dilation", ("x", "weight", "bias?"), ("y",), _CONV),
    Op("conv_transpose", "deconvolution", "transposed convolution of any rank", ("x", "weight", "bias?"), ("y",), _CONV | {"output_padding": "tuple"}),
    Op("deform_conv", "convolution", "convolution of values sampled between the elements of x, at places moved by offsets", ("x", "offset", "weight", "mask?", "bias?"), ("y",),
       _CONV | {"offset_groups": "int: groups of channels that share offsets"}),
    Op("linear", "linear", "contraction with a weight", ("x", "weight", "bias?"), ("y",), {
        "in_features": "required: the contracted size", "out_features": "int", "equation": "einsum equation where it is not x·Wᵀ",
        "path": "the whole sum's pairwise path, where it is one of its steps",
        "groups": "int: the weight is a stack of so many matrices, and each row of x meets one of them"}),
    Op("matmul", "matmul", "product of two activations, batched over the leading dimensions", ("x0", "x1"), ("y",), {
        "contracted": "required: the contracted size", "groups": "int: x1 is a stack of so many matrices, and each row of x0 meets one of them"}),
    Op("sparse_matmul", "matmul", "product of a sparse matrix and a dense one, or a dense and a sparse one", ("x0", "x1"), ("y",), {
        "nnz": "required: stored elements of the sparse operand, of all matrices together", "columns": "required: of the dense operand that each of them meets",
        "sparse": "role of the sparse operand, x0 unless said", "index_bytes": "int: of the positions of what is stored"}),
    Op("einsum", "matmul", "one pairwise step of an Einstein sum of activations, or an Einstein sum of one operand", ("x*",), ("y",), {
        "equation": "required: explicit, lower and upper case letters, without spaces and ellipses, e.g. bij,bjk->bik",
        "path": "the whole sum's pairwise path, on each of its steps"}),
    Op("correlation", "matmul", "dot products of patches of two feature maps (FlowNet)", ("x0", "x1"), ("y",), {
        "kernel_size": "required: tuple, of a patch", "channels": "required: C of x0 and x1", "max_displacement": "int", "stride": "tuple: between patches of x0, between those of x1",
        "padding": "tuple of (before, after) pairs", "multiply": "bool: products (unless said), or absolute differences"}),
    Op("attention", "attention", "scaled dot-product attention", ("q", "k", "v", "mask?"), ("y", "weights?"), {
        "batch": "required: N", "heads": "required: query heads", "kv_heads": "required: key and value heads",
        "q_len": "required: L_q", "kv_len": "required: L_k", "qk_dim": "required: D_k per head", "v_dim": "required: D_v per head",
        "causal": "bool", "causal_alignment": "top_left (PyTorch) or bottom_right", "scale": "float; scaled unless it is 1.0",
        "pairs": "full, or unmasked: whether causal attention is counted in full",
        "softcap": "number: scores become softcap·tanh(score/softcap)", "dropout": "number: share of the probabilities that training sets to 0, none unless said", "left_window_size": "int: keys before a query that it sees, all unless said",
        "right_window_size": "int: keys behind a query that it sees"}),
    # recurrent: one layer per direction and layer of the stack, never the loop body
    Op("lstm", "recurrent", "LSTM over a sequence", ("x", "weight_ih", "weight_hh", "bias_ih?", "bias_hh?", "weight_hr?", "peephole?", "h0?", "c0?"), ("y", "hn?", "cn?"),
       _RECURRENT | {"proj_size": "P, 0 without projection"}),
    Op("gru", "recurrent", "GRU over a sequence", ("x", "weight_ih", "weight_hh", "bias_ih?", "bias_hh?", "h0?"), ("y", "hn?"),
       _RECURRENT | {"reset_after": "bool: the reset gate multiplies the recurrent product (PyTorch, cuDNN) or the state before it"}),
    Op("rnn", "recurrent", "Elman network over a sequence", ("x", "weight_ih", "weight_hh", "bias_ih?", "bias_hh?", "h0?"), ("y", "hn?"),
       _RECURRENT | {"nonlinearity": "tanh or relu"}),
    Op("embedding", "embedding", "rows of a table by index", ("x", "weight"), ("y",), {"num_embeddings": "int", "embedding_dim": "int"}),
    # normalisation
    Op("batch_norm", "normalization", "batch norm with given statistics", ("x", "weight?", "bias?", "mean?", "var?"), ("y", "batch_mean?", "batch_var?"), _NORM | {
        "channels": "required: C", "batch_stats": "bool: statistics are computed from the batch (no running ones)"}),
    Op("layer_norm", "normalization", "layer norm", ("x", "weight?", "bias?"), ("y", "mean?", "rstd?"), _NORM | {"normalized_size": "required: elements normalised together"}),
    Op("group_norm", "normalization", "group norm", ("x", "weight?", "bias?"), ("y",), _NORM | {"groups": "required: G per sample", "channels": "required: C", "batch": "required: N"}),
    Op("instance_norm", "normalization", "instance norm", ("x", "weight?", "bias?", "mean?", "var?"), ("y",), _NORM | {
        "channels": "required: C", "batch": "required: N", "running_stats": "bool: given statistics are used"}),
    Op("rms_norm", "normalization", "root-mean-square norm", ("x", "weight?"), ("y", "mean?", "rstd?"), _NORM | {"normalized_size": "required: elements normalised together"}),
    Op("local_response_norm", "normalization", "local response norm across channels", ("x",), ("y",), {
        "size": "required: window", "channels": "required: C", "alpha": "float", "beta": "float", "k": "float"}),
    Op("lp_normalize", "normalization", "x divided by its p-norm along axes", ("x",), ("y",), {"axis": "required: tuple", "p": "required: number", "eps": "float: added under the root"}),
    # pooling
    Op("max_pool", "pooling", "maximum over a window", ("x",), ("y", "indices?"), _POOL | {"fractional": "bool: the windows stand at places drawn by chance"}),
    Op("avg_pool", "pooling", "mean over a window", ("x",), ("y",), _POOL | {"count_include_pad": "bool", "divisor": "int or None"}),
    Op("lp_pool", "pooling", "p-norm over a window", ("x",), ("y",), _POOL | {"p": "required: number"}),
    Op("adaptive_avg_pool", "pooling", "mean over windows that tile the input", ("x",), ("y",), {
        "input_size": "required: tuple, spatial", "output_size": "required: tuple, spatial", "data_format": "order of x and y"}),
    Op("adaptive_max_pool", "pooling", "maximum over windows that tile the input", ("x",), ("y", "indices?"), {
        "input_size": "required: tuple, spatial", "output_size": "required: tuple, spatial", "data_format": "order of x and y"}),
    # softmax
    Op("softmax", "softmax", "softmax along axes", ("x",), ("y",), {"axis": "tuple", "n": "required: elements normalised together"}),
    Op("log_softmax", "softmax", "logarithm of softmax along axes", ("x",), ("y",), {"axis": "tuple", "n": "required: elements normalised together"}),
    Op("hardmax", "softmax", "1 where the maximum along an axis stands, else 0", ("x",), ("y",), {"axis": "int", "n": "required: elements along the axis"}),
    # activations with parameters or attributes of their own; the plain ones follow below
    Op("prelu", "activation", "max(0, x) + weight·min(0, x)", ("x", "weight"), ("y",)),
    Op("gelu", "activation", "x·Φ(x)", ("x",), ("y",), {"approximate": "none (erf) or tanh"}),
    Op("glu", "activation", "a·sigmoid(b), a and b the halves of x", ("x",), ("y",), {"axis": "int"}),
    # elementwise with attributes
    Op("clip", "elementwise", "x limited to [min, max]", ("x",), ("y",), {"min": "number or None", "max": "number or None"}),
    Op("pow", "elementwise", "x0 to the power x1, or to a constant exponent", ("x0", "x1?"), ("y",), {"exponent": "number where the exponent is a constant", "base": "number where the base is"}),
    Op("where", "elementwise", "x0 where cond, else x1", ("cond", "x0?", "x1?"), ("y",), {"scalar0": "x0 where it is a constant", "scalar1": "x1 where it is a constant"}),
    Op("masked_fill", "elementwise", "x with a constant where the mask is set", ("x", "mask"), ("y",), {"value": "number"}),
    Op("lerp", "elementwise", "x0 + t·(x1 − x0)", ("x0", "x1", "t?"), ("y",), {"scalar": "t where it is a constant"}),
    Op("addcmul", "elementwise", "x0 + value·x1·x2", ("x0", "x1", "x2"), ("y",), {"value": "number"}),
    Op("addcdiv", "elementwise", "x0 + value·x1/x2", ("x0", "x1", "x2"), ("y",), {"value": "number"}),
    Op("add", "elementwise", "x0 + alpha·x1", ("x0", "x1?"), ("y",), {"alpha": "number, 1 unless said", "scalar": "the operand that is a constant"}),
    Op("sub", "elementwise", "x0 − alpha·x1", ("x0", "x1?"), ("y",), {
        "alpha": "number, 1 unless said", "scalar": "the operand that is a constant", "reverse": "bool: the constant is the first operand"}),
    Op("remainder", "elementwise", "x0 − ⌊x0/x1⌋·x1", ("x0", "x1?"), ("y",), {
        "scalar": "the operand that is a constant", "reverse": "bool: the constant is the first operand", "fmod": "bool: the sign is that of x0, as in C"}),
    Op("special", "elementwise", "a function that libraries evaluate as a whole, element by element (Bessel, gamma, zeta …)", ("x*",), ("y",), {
        "function": "required: its name", "order": "int: n of the n-th derivative or degree, where it is a constant"}),
    Op("cross", "elementwise", "cross product of vectors of three elements along an axis", ("x0", "x1"), ("y",), {"axis": "int"}),
    Op("cast", "elementwise", "conversion to another dtype", ("x",), ("y",), {"dtype": "target dtype"}),
    Op("rotary_embedding", "rotary", "pairs of channels rotated by an angle that depends on the position", ("x", "cos?", "sin?"), ("y",), {
        "heads": "int: heads in the last dimension of x, 1 unless said", "rotary_dim": "int: channels of each head that are rotated, all unless said",
        "interleaved": "bool: a pair are neighbours, or stands half a head apart"}),
    # quantisation: real = scale·(stored − zero_point); a layer that computes on quantised specs rescales its own output
    Op("quantize", "quantization", "real numbers to integers", ("x", "scale?", "zero_point?"), ("y",), _QUANT),
    Op("dequantize", "quantization", "integers to real numbers", ("x", "scale?", "zero_point?"), ("y",), _QUANT),
    Op("requantize", "quantization", "integers to integers of another scale", ("x",), ("y",), _QUANT),
    Op("dynamic_quantize", "quantization", "real numbers to integers, by the range of the values themselves", ("x",), ("y", "scale?", "zero_point?"), _QUANT),
    Op("fake_quantize", "quantization", "real numbers rounded to those that integers can stand for", ("x", "scale?", "zero_point?"), ("y",), _QUANT),
    # reductions; n, the number of elements reduced into one output, is |x|/|y|
    Op("variance", "reduction", "variance; the mean comes with it", ("x",), ("y", "mean?"), _AXES | {"correction": "number"}),
    Op("std", "reduction", "standard deviation; the mean comes with it", ("x",), ("y", "mean?"), _AXES | {"correction": "number"}),
    Op("norm", "reduction", "vector norm", ("x",), ("y",), _AXES | {"ord": "number, inf, -inf"}),
    Op("distance", "reduction", "p-norm of the difference of each row of x0 and each of x1, or of each pair of rows of x0", ("x0", "x1?"), ("y",), {"p": "required: number"}),
    Op("segment_reduce", "writing", "rows of the same segment joined", ("x", "segments"), ("y",), {"reduce": "required: sum, prod, mean, amax or amin"}),
    Op("scatter_reduce", "writing", "elements combined by index with those there", ("x", "indices", "src"), ("y",), {
        "axis": "int", "reduce": "required: sum, prod, mean, amax or amin"}),
    Op("index_reduce", "writing", "elements combined by one or more index tensors with those there", ("x", "x*", "src?"), ("y",), {
        "axes": "tuple: the first axis each index tensor stands for", "reduce": "required: sum, prod, mean, amax or amin"}),
    # order and selection
    Op("sort", "sorting", "elements along an axis in order", ("x",), ("y?", "indices?"), {"axis": "int", "n": "required: elements along the axis", "descending": "bool", "stable": "bool"}),
    Op("topk", "sorting", "the k largest elements along an axis, or the smallest", ("x",), ("y?", "indices?"), {
        "axis": "int", "k": "required: how many", "n": "required: elements along the axis", "sorted": "bool", "largest": "bool"}),
    Op("mode", "sorting", "the element that occurs most often along an axis", ("x",), ("y", "indices?"), _AXES | {"n": "required: elements along the axis"}),
    Op("unique", "sorting", "different elements, or rows along an axis", ("x",), ("y", "indices?", "inverse?", "counts?"), {"axis": "int; all elements unless said", "sorted": "bool"}),
    Op("nonzero", "sorting", "positions of what is not 0", ("x",), ("y",)),
    Op("bucketize", "sorting", "which interval between sorted boundaries every element is in; the last dimension of the boundaries is one row of them", ("x", "boundaries"), ("y",), {"right": "bool"}),
    Op("histogram", "sorting", "how many elements are in each of equal intervals, or have each integer value", ("x",), ("y",)),
    # detection
    Op("nms", "detection", "non-maximum suppression: boxes by falling score, without those that overlap an earlier one", ("boxes", "scores"), ("y", "scores?", "classes?", "valid?"), {
        "boxes": "required: per image", "classes": "required: that are suppressed apart", "batch": "required: images", "max_output": "int: boxes kept per image and class, all unless said",
        "iou_threshold": "float", "score_threshold": "float"}),
    Op("roi_pool", "detection", "maximum over the cells of a grid over each region", ("x", "rois"), ("y",), {
        "output_size": "required: tuple", "spatial_scale": "float", "data_format": "order of x and y"}),
    Op("roi_align", "detection", "mean or maximum of values sampled in the cells of a grid over each region", ("x", "rois"), ("y",), {
        "output_size": "required: tuple", "sampling_ratio": "required: int, samples along each side of a cell; 0: as many as the cell is wide", "spatial_scale": "float", "mode": "avg unless said, or max",
        "aligned": "bool: shifted by half an element", "data_format": "order of x and y"}),
    Op("box_decode", "detection", "boxes from anchors and predicted offsets (SSD)", ("x*",), ("y",), {"anchors": "center (x, y, width, height) unless said, or corner", "clip": "bool: boxes limited to the image"}),
    # sampling at computed places
    Op("grid_sample", "sampling", "values of x at the places that a grid names", ("x", "grid"), ("y",), {
        "mode": "required: nearest, bilinear or bicubic", "padding_mode": "zeros, border or reflection", "align_corners": "bool"}),
    Op("affine_grid", "sampling", "a grid of places, moved by a matrix", ("theta",), ("y",), {"align_corners": "bool"}),
    # spectra and linear algebra
    Op("fft", "spectral", "discrete Fourier transform along an axis", ("x",), ("y",), {
        "axis": "required: int", "n": "required: length of the transform", "inverse": "bool", "onesided": "bool: the signal is real, and only half of its spectrum there",
        "scaled": "bool: whether y is multiplied by 1/n or its root; so unless said where inverse, else not"}),
    Op("stft", "spectral", "Fourier transforms of overlapping frames", ("x", "window?"), ("y",), {
        "frame_length": "required: int", "frame_step": "int", "onesided": "bool: the signal is real, and only half of each spectrum there; so unless said"}),
    Op("svd", "linear_algebra", "singular values of x, and its singular vectors where they are asked for", ("x",), ("y", "u?", "v?")),
    Op("eigh", "linear_algebra", "eigenvalues of a symmetric matrix, and its eigenvectors where they are asked for", ("x",), ("y", "vectors?")),
    Op("eig", "linear_algebra", "eigenvalues of a matrix, and its eigenvectors where they are asked for", ("x",), ("y", "vectors?")),
    Op("lstsq", "linear_algebra", "x with the least norm of a·x − b, for a with no fewer rows than columns", ("a", "b"), ("y", "residuals?", "rank?", "singular_values?")),
    Op("householder", "linear_algebra", "Q of the vectors of reflections, as qr makes them below the diagonal, and their factors", ("x", "tau"), ("y",)),
    Op("matrix_exp", "linear_algebra", "exponential of a matrix", ("x",), ("y",)),
    Op("cholesky", "linear_algebra", "L with L·Lᵀ = x", ("x",), ("y", "info?"), {"upper": "bool"}),
    Op("det", "linear_algebra", "determinant", ("x",), ("y",)),
    Op("log_det", "linear_algebra", "logarithm of the absolute value of the determinant, and its sign", ("x",), ("y", "sign?")),
    Op("inverse", "linear_algebra", "inverse of a matrix", ("x",), ("y", "info?")),
    Op("lu", "linear_algebra", "L and U in one matrix, with L·U = x but for the order of the rows", ("x",), ("y", "pivots?", "permutation?", "info?")),
    Op("qr", "linear_algebra", "Q·R = x; y is R, and q is made where it is asked for", ("x",), ("y", "q?")),
    Op("solve", "linear_algebra", "x with a·x = b", ("a", "b"), ("y", "info?"), {
        "triangular": "bool: a is", "upper": "bool", "transposed": "bool", "left": "bool: x·a = b where it is not", "unit": "bool: a is triangular with ones on its diagonal"}),
    # losses whose work is no chain of other ops
    Op("ctc_loss", "loss", "minus the logarithm of the probability of each target sequence, over all its alignments", ("x", "targets"), ("y",), {
        "input_lengths": "required: tuple, steps of each sequence", "target_lengths": "required: tuple, labels of each sequence"}),
    # resizing and layout
    Op("resize", "resize", "interpolation to another size", ("x",), ("y",), {
        "mode": "required: nearest, nearest-exact, linear, bilinear, trilinear, bicubic, area", "scale": "tuple", "align_corners": "bool", "antialias": "bool", "data_format": "order of x and y"}),
    Op("pad", "shape", "padding", ("x",), ("y",), {"padding": "tuple of (before, after), one pair per dimension", "mode": "constant, reflect, replicate, circular", "value": "number"}),
    Op("concat", "shape", "tensors joined along an axis", ("x*",), ("y",), {"axis": "int"}),
    Op("stack", "shape", "tensors joined along a new axis", ("x*",), ("y",), {"axis": "int"}),
    Op("split", "shape", "a tensor cut into pieces", ("x",), ("y*",), {"axis": "int", "sizes": "tuple"}),
    Op("reshape", "shape", "another shape for the same elements", ("x",), ("y",), {"shape": "tuple"}),
    Op("transpose", "shape", "dimensions in another order", ("x",), ("y",), {"perm": "tuple"}),
    Op("slice", "shape", "part of a tensor by position", ("x",), ("y",), {"index": "description of the part"}),
    Op("expand", "shape", "broadcast to a larger shape", ("x",), ("y",), {"shape": "tuple"}),
    Op("repeat", "shape", "the tensor repeated along its dimensions", ("x", "repeats?"), ("y",), {
        "repeats": "tuple, one per dimension, or int: how often each element stands in a row along axis", "axis": "int"}),
    Op("flip", "shape", "dimensions reversed", ("x",), ("y",), {"axis": "tuple"}),
    Op("roll", "shape", "dimensions rotated", ("x",), ("y",), {"axis": "tuple", "shift": "tuple"}),
    Op("unfold", "shape", "sliding windows as columns (im2col), or as a new last dimension", ("x",), ("y",), _WINDOW | {
        "axis": "int, where windows slide along one dimension"}),
    Op("fold", "reduction", "columns summed into an image (col2im)", ("x",), ("y",), _WINDOW),
    Op("pixel_shuffle", "shape", "channels moved into space", ("x",), ("y",), {"factor": "int"}),
    Op("pixel_unshuffle", "shape", "space moved into channels", ("x",), ("y",), {"factor": "int"}),
    Op("channel_shuffle", "shape", "channels interleaved", ("x",), ("y",), {"groups": "int"}),
    Op("gather", "shape", "elements by index along an axis", ("x", "indices"), ("y",), {"axis": "int"}),
    Op("index", "shape", "elements by one or more index tensors", ("x", "x*"), ("y",), {
        "axes": "tuple: the first axis each index tensor stands for", "lengths": "tuple: so many elements of each sequence along the axis, time first, where x is packed"}),
    Op("scatter", "shape", "elements written by index in place of those there", ("x", "indices", "src?"), ("y",), {
        "axis": "int", "value": "number, without src"}),
    Op("index_put", "shape", "elements written by one or more index tensors in place of those there", ("x", "x*", "src?"), ("y",), {
        "axes": "tuple: the first axis each index tensor stands for", "index": "description of the part, where a position chooses it",
        "value": "number, without src", "batch_sizes": "tuple: how many sequences are still running at each step, where src is packed"}),
    Op("triangle", "shape", "upper or lower triangle, the rest zero", ("x",), ("y",), {"diagonal": "int", "upper": "bool"}),
    Op("max_unpool", "shape", "elements put back where max pooling found them, the rest zero", ("x", "indices"), ("y",)),
    Op("one_hot", "shape", "1 where an index says, the rest 0", ("x",), ("y",), {"axis": "int", "depth": "int"}),
    Op("copy", "shape", "the same elements in other memory", ("x", "dest?"), ("y",)),
    Op("dropout", "shape", "dropout at inference", ("x",), ("y",), {"p": "float"}),
    Op("identity", "shape", "nothing", ("x",), ("y",)),
    # tensors out of nothing
    Op("fill", "creation", "a tensor of one value", (), ("y",), {"value": "number; None where memory is taken as it is, and nothing written"}),
    Op("arange", "creation", "an arithmetic progression", (), ("y",)),
    Op("constant", "creation", "a tensor written into the program", (), ("y",)),
    Op("random", "creation", "random numbers, whose distribution may depend on tensors", ("x*",), ("y",), {"distribution": "name"}),
    Op("eye", "creation", "ones on a diagonal, the rest zero", (), ("y",), {"diagonal": "int"}),
    Op("prior_box", "creation", "anchors of a detector, which follow from the shapes of x0 … alone", ("x*",), ("y",)),
)

# Ops of one input or two, without attributes: name -> meaning.
_ACTIVATIONS = {
    "relu": "max(0, x)", "relu6": "min(max(0, x), 6)", "hard_tanh": "x limited to [−1, 1]", "leaky_relu": "x or slope·x",
    "rrelu": "x or slope·x", "elu": "x or α(eˣ − 1)", "selu": "λ·elu(x)", "celu": "x or α(e^(x/α) − 1)", "silu": "x·sigmoid(x)",
    "mish": "x·tanh(softplus(x))", "sigmoid": "1/(1 + e⁻ˣ)", "log_sigmoid": "log sigmoid(x)", "hard_sigmoid": "relu6(x + 3)/6",
    "hard_swish": "x·hard_sigmoid(x)", "tanh": "tanh x", "softplus": "log(1 + eˣ)", "softsign": "x/(1 + |x|)",
    "tanh_shrink": "x − tanh x", "soft_shrink": "x moved towards 0 by λ", "hard_shrink": "x or 0", "threshold": "x or a value",
}
_ACTIVATION_ATTRS = {
    "leaky_relu": {"negative_slope": "number"},
    "rrelu": {"lower": "number", "upper": "number"},
    "elu": {"alpha": "number"},
    "celu": {"alpha": "number"},
    "hard_tanh": {"min": "number, −1 unless said", "max": "number, 1 unless said"},
    "softplus": {"beta": "number", "threshold": "number: linear above it"},
    "soft_shrink": {"lambda": "number"},
    "hard_shrink": {"lambda": "number"},
    "threshold": {"threshold": "number", "value": "number"},
}
_UNARY = {
    "neg": "−x", "abs": "|x|", "sign": "sign of x", "reciprocal": "1/x", "square": "x²", "sqrt": "√x", "rsqrt": "1/√x", "exp": "eˣ", "exp2": "2ˣ",
    "expm1": "eˣ − 1", "log": "ln x", "log2": "log₂ x", "log10": "log₁₀ x", "log1p": "ln(1 + x)", "sin": "sin x", "cos": "cos x",
    "tan": "tan x", "asin": "arcsin x", "acos": "arccos x", "atan": "arctan x", "sinh": "sinh x", "cosh": "cosh x", "asinh": "arsinh x",
    "acosh": "arcosh x", "atanh": "artanh x", "erf": "erf x", "erfc": "1 − erf x", "erfinv": "inverse of erf", "floor": "⌊x⌋", "ceil": "⌈x⌉",
    "round": "nearest integer", "trunc": "towards 0", "frac": "x − trunc x", "logical_not": "not x", "bitwise_not": "~x",
    "logit": "ln(x/(1 − x))", "sinc": "sin(πx)/(πx)", "conj": "the complex conjugate", "angle": "the angle of a complex number",
    "is_nan": "x is NaN", "is_inf": "x is infinite", "is_finite": "x is finite",
}
_BINARY = {
    "mul": "x0·x1", "div": "x0/x1", "floor_div": "⌊x0/x1⌋", "maximum": "max(x0, x1)", "minimum": "min(x0, x1)",
    "atan2": "angle of (x1, x0)", "hypot": "√(x0² + x1²)", "logaddexp": "log(e^x0 + e^x1), of whatever base", "xlogy": "x0·ln x1, 0 where x0 is 0",
    "xlog1py": "x0·ln(1 + x1), 0 where x0 is 0", "polar": "the complex number of absolute value x0 and angle x1", "copysign": "|x0| with the sign of x1", "equal": "x0 = x1", "not_equal": "x0 ≠ x1", "less": "x0 < x1", "less_equal": "x0 ≤ x1", "greater": "x0 > x1",
    "greater_equal": "x0 ≥ x1", "logical_and": "and", "logical_or": "or", "logical_xor": "exclusive or", "bitwise_and": "&", "bitwise_or": "|",
    "bitwise_xor": "^", "shift_left": "<<", "shift_right": ">>",
}
_REDUCTIONS = {
    "sum": "sum", "mean": "mean", "max": "maximum", "min": "minimum", "prod": "product", "argmax": "position of the maximum", "argmin": "position of the minimum",
    "any": "any set", "all": "all set", "logsumexp": "log of the sum of eˣ", "cumsum": "running sum", "cumprod": "running product", "cummax": "running maximum",
    "cummin": "running minimum", "logcumsumexp": "running log of the sum of eˣ", "count_nonzero": "how many are not 0",
}


def _plain() -> tuple[Op, ...]:
    scalar = {"scalar": "the operand that is a constant", "reverse": "bool: the constant is the first operand"}
    return (
        *(Op(name, "activation", text, attrs=_ACTIVATION_ATTRS.get(name, {})) for name, text in _ACTIVATIONS.items()),
        *(Op(name, "elementwise", text) for name, text in _UNARY.items()),
        *(Op(name, "elementwise", text, ("x0", "x1?"), ("y",), scalar) for name, text in _BINARY.items()),
        *(Op(name, "reduction", text, ("x",), ("y", "indices?"), _AXES) for name, text in _REDUCTIONS.items()),
    )


OPS: Mapping[str, Op] = {op.name: op for op in (*_TABLE, *_plain())}

# Families in which one network must cost the same whatever framework it was written in.
CONTRACTION_FAMILIES = ("convolution", "deconvolution", "linear", "matmul", "attention", "recurrent")


def family(op: str) -> str:
    """The family of an op; a foreign op's family is its own name."""
    known = OPS.get(op)
    return known.family if known else op
