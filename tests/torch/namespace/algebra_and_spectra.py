"""A call of every public function of ``torch.linalg`` and ``torch.fft``."""

from __future__ import annotations

import torch
from recipe import Call, call, t

_MOVES = "moves elements"
_LDL = "pivots of one or two columns, which the values choose: no network is known to use it"
_A = t(2, 5, 5) + 4 * torch.eye(5)
_S = _A @ _A.mT
_B = t(2, 5, 3)
_SIGNAL, _SPECTRUM = t(2, 6, 8), t(2, 6, 5, dtype=torch.complex64)

LINALG: dict[str, Call] = {
    **{name: call(_S) for name in ("cholesky", "cholesky_ex", "eigh", "eigvalsh")},
    **{name: call(_S, unsupported=_LDL) for name in ("ldl_factor", "ldl_factor_ex")},
    **{
        name: call(_A)
        for name in (
            "cond",
            "det",
            "eig",
            "eigvals",
            "inv",
            "inv_ex",
            "lu",
            "lu_factor",
            "lu_factor_ex",
            "matrix_exp",
            "matrix_norm",
            "matrix_rank",
            "norm",
            "pinv",
            "qr",
            "slogdet",
            "svd",
            "svdvals",
            "vector_norm",
        )
    },
    **{name: call(_A, _B) for name in ("lstsq", "matmul", "solve", "solve_ex")},
    "cross": call(t(4, 3), t(4, 3)),
    "diagonal": call(_A, free="a view"),
    "householder_product": call(_B, t(2, 3)),
    "ldl_solve": call(t(2, 5, 5), torch.arange(1, 6).int().repeat(2, 1), _B, unsupported=_LDL),
    "lu_solve": call(t(2, 5, 5), torch.arange(1, 6).int().repeat(2, 1), _B),
    "matrix_power": call(_A, 5),
    "multi_dot": call([t(3, 4), t(4, 5), t(5, 6)]),
    "solve_triangular": call(_A, _B, upper=True),
    "tensorinv": call(t(6, 2, 3) + 1, ind=1),
    "tensorsolve": call(t(6, 2, 3), t(6)),
    "vander": call(t(5)),
    "vecdot": call(t(3, 8), t(3, 8)),
}

FFT: dict[str, Call] = {
    **{name: call(_SIGNAL) for name in ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn")},
    **{name: call(_SIGNAL) for name in ("rfft", "rfft2", "rfftn", "ihfft", "ihfft2", "ihfftn")},
    **{name: call(_SPECTRUM) for name in ("irfft", "irfft2", "irfftn", "hfft", "hfft2", "hfftn")},
    "fftfreq": call(8),
    "rfftfreq": call(8),
    "fftshift": call(_SIGNAL, free=_MOVES),
    "ifftshift": call(_SIGNAL, free=_MOVES),
}
