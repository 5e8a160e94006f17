"""Why counters differ from the closed forms, a line a reason; read off their code and their figures."""

from __future__ import annotations

Lines = tuple[tuple[tuple[str, ...], str], ...]

REASONS: Lines = (
    (
        ("thop", "torchinfo", "flopth"),
        "a rule for each class of module, so whatever a forward computes itself (`@`, einsum, `F.linear`, "
        "`F.conv2d`, attention, a parameter used directly) is 0. A parametrized module has parts, so it is no "
        "leaf and 0 too; in thop also a subclass and a lazy module, whose class is not exactly the one with the "
        "rule.",
    ),
    (
        ("ultralytics-thop", "ptflops pytorch", "calflops", "DeepSpeed"),
        "functions are replaced while the forward runs: those on no list are 0 (in each others, among them "
        "`F.conv2d`, `mv`, tensordot, an einsum of three, `vmap`; in ptflops and calflops fused attention).",
    ),
    (
        ("ptflops pytorch", "DeepSpeed"),
        "on meta a linear layer comes to Python once more, as `torch.mm` in torch's own decomposition, which is "
        "replaced as well: twice the figure, in recurrent layers and transformers too.",
    ),
    (
        ("thop", "torchinfo", "flopth", "torchprofile"),
        "a transposed convolution is counted on its output, as if every output met the whole kernel: too high by "
        "the product of the strides. torchprofile is too high by the groups besides; calflops divides by them "
        "once too often.",
    ),
    (
        ("fvcore", "calflops", "DeepSpeed", "FlopCounterMode", "ptflops aten", "torchprofile"),
        "recurrent layers of which they see no parts have no rule: 0 in fvcore, calflops and DeepSpeed; the LSTM "
        "on the CPU, one kernel there, in FlopCounterMode and ptflops aten; GRU and RNN in torchprofile, whose "
        "LSTM knows neither projections nor packed lengths.",
    ),
    (
        ("thop",),
        "an LSTM's projection is taken at full width, packed sequences as if padded.",
    ),
    (
        ("FlopCounterMode", "ptflops aten"),
        "scaled dot product attention is another kernel on the CPU than elsewhere, and has no rule: 0 there.",
    ),
    (
        ("fvcore", "calflops", "DeepSpeed", "FlopCounterMode", "ptflops aten"),
        "under `no_grad` `nn.MultiheadAttention` and the encoder layer run as one fused kernel that no rule sees: "
        "half of a layer or all of it is missing, and one model has two figures. With gradients fused attention "
        "alone is.",
    ),
    (
        ("torchinfo", "flopth"),
        "a linear layer is its weights times the batch: other leading dimensions are lost (flopth takes the "
        "second one for the width), and torchinfo takes a single vector's length for a batch.",
    ),
    (
        ("torchinfo",),
        "mult-adds are parameters times what looks like positions in the output: cells and embeddings come out a "
        "hundred times too high, a convolution without a batch twice. Weights that a forward computes are not "
        "seen.",
    ),
    (
        ("flopth",),
        "a module keeps its last figure: one called twice counts once. Recurrent layers return tuples, which is "
        "an error, as is a model without parameters.",
    ),
    (
        ("calflops",),
        "a model without parameters is an error, and so is an argument that is no tensor.",
    ),
    (
        ("fvcore", "torchprofile"),
        "they read what `torch.jit.trace` makes: torch 2.13 cannot trace a convolution on meta, `padding='same'` "
        "is an operator of its own (0), and not every module or argument can be traced.",
    ),
    (
        ("fvcore", "ptflops aten"),
        "`baddbmm` has no rule; fvcore's einsum is numpy's figure, which is one less.",
    ),
    (
        ("calflops", "DeepSpeed"),
        "`padding='same'` is taken for none: the output is too small.",
    ),
    (
        ("torchinfo",),
        "where weights are pruned it counts those that are left.",
    ),
    (
        ("torch.profiler",),
        "it knows matrix products (`mm`, `addmm`, `bmm`, `baddbmm`), 2-d convolutions, and elementwise sums and "
        "products: the rest is 0, transposed ones too. On meta both an operator and what it is made of are counted.",
    ),
    (
        ("torchlens",),
        "models and inputs on meta are refused. Recurrent layers, fused encoder layers, weights that a forward "
        "computes, tensordot and an einsum of three have no rule and add 0; it names them (`unknown_flop_ops`).",
    ),
    (
        ("thop", "ultralytics-thop", "ptflops pytorch", "fvcore", "flopth", "torchprofile", "torch.profiler"),
        "where the figure is ≈, it holds batch norm at 1 to 4 an element, layer norm at up to 5, gates, softmax, "
        "activations, pooling or sums, each in its own way; none folds a norm.",
    ),
    (
        ("multiprof",),
        "what others may choose otherwise: causal attention in full, a bilinear layer as two products, pruned "
        "weights at their dense size, complex numbers in operations on real ones (the others take a complex "
        "multiply-add for one, a quarter of its work).",
    ),
)

CHANGES: Lines = (
    (
        ("thop",),
        "leaves its figures as buffers in modules, so in the state_dict; one training mode for all of them.",
    ),
    (
        ("ptflops aten",),
        "never removes its hooks; both backends leave the model in evaluation.",
    ),
    (
        ("flopth",),
        "leaves a buffer in every leaf, a replaced `__call__` in its *class* for the rest of the process, and the "
        "model in evaluation.",
    ),
    (
        ("calflops", "DeepSpeed"),
        "leave the model in evaluation; after an error hooks, attributes and torch's functions stay replaced.",
    ),
    (
        ("fvcore",),
        "leaves its hooks after an error.",
    ),
    (
        ("torchinfo",),
        "leaves the model in the mode that it counts in, evaluation unless told.",
    ),
    (
        ("fvcore", "torchinfo", "torchprofile", "torchlens", "FlopCounterMode", "torch.profiler"),
        "run a model in training mode as it stands, so its running statistics and torch's random numbers go on.",
    ),
    (
        ("torchlens",),
        "leaves torch's functions, and `forward` of classes, wrapped for the rest of the process.",
    ),
    (
        ("ultralytics-thop", "multiprof"),
        "nothing.",
    ),
)
