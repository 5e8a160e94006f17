"""Why counters differ from the closed forms, a line a reason; read off their code and their figures."""

from __future__ import annotations


REASONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("thop", "torchinfo", "flopth"),
     "a rule for each class of module: what a forward computes itself (`@`, einsum, `F.linear`, `F.conv2d`, attention, a "
     "parameter used directly) is 0; so is a module whose class is not exactly the one that has the rule (a subclass, a "
     "parametrized or lazy one, in thop and flopth)."),
    (("ptflops pytorch", "ultralytics-thop", "calflops", "DeepSpeed"),
     "rules for classes or functions, replaced while the forward runs: those on no list (`F.conv2d` with a parameter, "
     "tensordot, einsum of three, `mv`, `vmap`; in ptflops, calflops and DeepSpeed the fused attention too) are 0 or an error."),
    (("ptflops pytorch", "DeepSpeed"),
     "on meta `F.linear` reaches Python once more as a matrix product of meta's own kernels, which they count too: linear "
     "layers, recurrent ones and all that hold them come out twice."),
    (("thop", "torchinfo", "flopth", "torchprofile"),
     "a transposed convolution is counted on its output, as if every output met the whole kernel: too high by the "
     "product of the strides; torchprofile multiplies by the groups besides. calflops divides by the groups twice."),
    (("fvcore", "calflops", "ptflops aten", "FlopCounterMode", "torchlens"),
     "recurrent layers are one kernel on the CPU, with no rule: 0; on meta torch takes them apart, and those that see "
     "the parts (FlopCounterMode, ptflops aten) are right. DeepSpeed's rules hold multiplications of their own, and find 0."),
    (("thop", "ultralytics-thop", "torchinfo"),
     "gates and biases are in the figure of recurrent layers: 1 to 2 %. Projections (`proj_size`) and packed lengths are "
     "ignored by thop: the first is taken at full width, the second as if padded."),
    (("FlopCounterMode", "ptflops aten"),
     "scaled dot product attention is another kernel on the CPU than on CUDA and meta, and has no rule there: 0."),
    (("fvcore", "calflops", "DeepSpeed", "FlopCounterMode", "ptflops aten", "torchinfo"),
     "without gradients `nn.MultiheadAttention` and the encoder layer run as one fused kernel that no rule or hook "
     "sees: their attention, or the whole layer, is missing; the same model with gradients has another figure."),
    (("torchinfo", "flopth"),
     "multiplies the weights by the batch alone: leading dimensions of a linear layer are lost (flopth takes the product "
     "of the first and last), and a single vector counts as a batch."),
    (("torchinfo",),
     "takes the mult-adds of cells as parameters times the batch's first dimension, a convolution without a batch as one with."),
    (("flopth",),
     "keeps the last figure of a module: one called twice counts once. It calls `.size()` on results: a tuple (every "
     "recurrent layer) is an error, and so is a model without parameters."),
    (("calflops",), "asks the parameters for the device, so that a model without any is an error; keywords must be tensors."),
    (("fvcore", "torchprofile"),
     "read a graph of `torch.jit.trace`: convolutions on meta cannot be traced with torch 2.13, `padding='same'` is an "
     "operator that neither knows (0), integers and mappings are no inputs."),
    (("fvcore",), "counts einsum with opt_einsum's figure, one less than its terms; `addmm` and `baddbmm` partly."),
    (("torchinfo",), "does not see weights that a forward computes (a norm of weights, masks: 0, or half where pruned on the CPU)."),
    (("thop", "ultralytics-thop", "ptflops pytorch", "fvcore", "flopth", "torchprofile", "torch.profiler"),
     "where they stand above the products by less than their extras: batch norm at 1 to 4 an element, layer norm at up to "
     "5, softmax, activations, pooling, residual sums, each in its own way; nothing is folded."),
    (("calflops", "DeepSpeed"), "`padding='same'` is taken as no padding: the output is too small."),
    (("torch.profiler",),
     "knows `mm`, `addmm`, `bmm`, `baddbmm` and 2-d convolutions (from stride, padding and dilation), and elementwise "
     "sums and products; the rest is 0. On meta an operator and the one that it is made of may both be counted."),
    (("torchlens",), "refuses models and inputs on meta."),
    (("multiprof",),
     "every net is exact. Choices that others make otherwise, all stated in README: causal attention in full, a bilinear "
     "layer as two products, pruned weights at their dense size, complex multiply-adds as one each."),
)  # fmt: skip

CHANGES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("thop",), "leaves `total_ops` and `total_params` as buffers in modules, so in the state_dict; puts back one training "
     "mode for the whole model."),
    (("ptflops aten",), "leaves an empty table of hooks, or its own, in the module; both backends leave the model in evaluation."),
    (("flopth",), "leaves a buffer in every leaf and a replaced `__call__` in every *class*, for the rest of the process, "
     "and the model in evaluation."),
    (("calflops", "DeepSpeed"),
        "put the model into evaluation and leave it there; after an error calflops leaves its hooks, "
     "its attributes and torch's functions replaced."),
    (("fvcore",), "leaves its hooks after an error; in training mode the running statistics and the generator of random "
     "numbers advance (as in torchprofile, torchinfo, torchlens, FlopCounterMode and torch.profiler, which run the model "
     "as it stands)."),
    (("torchlens",), "replaces torch's functions and `forward` in classes by wrappers of its own, for the rest of the process."),
    (("ultralytics-thop", "multiprof"), "change nothing."),
)  # fmt: skip
