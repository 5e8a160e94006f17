"""A call of every public function of ``torch.special``."""

from __future__ import annotations

from recipe import Call, call, ints, t

_X = t(3, 4)

SPECIAL: dict[str, Call] = {
    **{
        name: call(_X)
        for name in (
            "airy_ai",
            "bessel_j0",
            "bessel_j1",
            "bessel_y0",
            "bessel_y1",
            "digamma",
            "entr",
            "erf",
            "erfc",
            "erfcx",
            "erfinv",
            "exp2",
            "expit",
            "expm1",
            "gammaln",
            "i0",
            "i0e",
            "i1",
            "i1e",
            "log1p",
            "log_ndtr",
            "logit",
            "modified_bessel_i0",
            "modified_bessel_i1",
            "modified_bessel_k0",
            "modified_bessel_k1",
            "ndtr",
            "ndtri",
            "psi",
            "round",
            "scaled_modified_bessel_k0",
            "scaled_modified_bessel_k1",
            "sinc",
            "spherical_bessel_j0",
        )
    },
    **{name: call(_X, _X) for name in ("gammainc", "gammaincc", "xlog1py", "xlogy", "zeta")},
    **{
        f"{name}_polynomial_{kind}": call(
            _X, ints(4, 3, 4), unsupported="a recurrence of as many steps as the degree, a value that may differ"
        )
        for name, kinds in (
            ("chebyshev", "tuvw"),
            ("shifted_chebyshev", "tuvw"),
            ("hermite", ("h", "he")),
            ("laguerre", "l"),
            ("legendre", "p"),
        )
        for kind in kinds
    },
    "log_softmax": call(_X, 1),
    "softmax": call(_X, 1),
    "logsumexp": call(_X, 1),
    "multigammaln": call(_X + 2, 2),
    "polygamma": call(1, _X),
}
