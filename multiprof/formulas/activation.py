"""Activations: one row each, the primitives an element takes and the definition they come from.

A branch on the value of x is 1 cmp, as relu is; divisions by a constant are multiplications by its reciprocal; at
inference rrelu has the mean of its slopes.
"""

from __future__ import annotations

from functools import partial

from multiprof.cost import Cost, element_symbols, elementwise, formula
from multiprof.formulas._primitives import primitives
from multiprof.ir import Layer

_row = partial(elementwise, term="activation")


@formula("gelu", symbols=element_symbols, source="Hendrycks and Gimpel 2016")
def gelu(layer: Layer) -> Cost:
    """erf: 3·|y| muls, |y| adds, |y| exps; tanh: 6·|y| muls, 2·|y| adds, |y| exps

    By the error function x·½·(1 + erf(x/√2)), or with ``approximate`` tanh
    ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the cube as two muls.
    """
    y = layer.y.numel
    if layer.attrs.get("approximate") == "tanh":
        return Cost({"tanh": primitives(layer, muls=6 * y, adds=2 * y, exps=y)})
    return Cost({"erf": primitives(layer, muls=3 * y, adds=y, exps=y)})


FORMULAS = (
    gelu,
    _row("relu", cmps=1, source="max(0, x); Nair and Hinton 2010"),
    _row("relu6", cmps=2, source="min(max(0, x), 6); Howard et al. 2017"),
    _row("hard_tanh", cmps=2, source="min(max(x, −1), 1); Collobert 2004"),
    _row("leaky_relu", cmps=1, muls=1, source="x or slope·x by the sign of x; Maas et al. 2013"),
    _row("prelu", cmps=1, muls=1, source="x or weight·x by the sign of x; He et al. 2015"),
    _row("rrelu", cmps=1, muls=1, source="at inference leaky_relu with the mean slope; Xu et al. 2015"),
    _row("elu", cmps=1, exps=1, adds=1, muls=1, source="x or α·(eˣ − 1) by the sign of x; Clevert et al. 2016"),
    _row("selu", cmps=1, exps=1, adds=1, muls=2, source="λ·elu(x); Klambauer et al. 2017"),
    _row("celu", cmps=1, exps=1, adds=1, muls=2, source="x or α·(e^(x·(1/α)) − 1) by the sign of x; Barron 2017"),
    _row("sigmoid", adds=2, exps=1, divs=1, source="1/(1 + e⁻ˣ): negate, exp, add, divide"),
    _row("log_sigmoid", adds=3, exps=2, source="−softplus(−x): negate, softplus, negate"),
    _row("silu", adds=2, exps=1, divs=1, muls=1, source="x·sigmoid(x); Elfwing et al. 2017, Ramachandran et al. 2017"),
    _row("glu", adds=2, exps=1, divs=1, muls=1, source="a·sigmoid(b) an output element; Dauphin et al. 2017"),
    _row("hard_sigmoid", muls=1, adds=1, cmps=2, source="min(max(x·⅙ + ½, 0), 1); Courbariaux et al. 2015"),
    _row("hard_swish", muls=2, adds=1, cmps=2, source="x·hard_sigmoid(x); Howard et al. 2019"),
    _row("tanh", exps=1, source="one evaluation of tanh"),
    _row("tanh_shrink", exps=1, adds=1, source="x − tanh x"),
    _row("softplus", exps=2, adds=1, source="log(1 + eˣ): exp, add, log; Dugas et al. 2001"),
    _row("mish", exps=3, adds=1, muls=1, source="x·tanh(softplus(x)); Misra 2019"),
    _row("softsign", cmps=1, adds=1, divs=1, source="x/(1 + |x|); Turian et al. 2009"),
    _row("soft_shrink", cmps=2, adds=1, source="x − min(max(x, −λ), λ); Donoho 1995"),
    _row("hard_shrink", cmps=2, source="x where |x| > λ, else 0: absolute value, select"),
    _row("threshold", cmps=1, source="x where x > threshold, else the value"),
)
