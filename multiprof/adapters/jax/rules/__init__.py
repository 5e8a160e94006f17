"""One rule per primitive: importing this package fills the table."""

from multiprof.adapters.jax.rules import (  # noqa: F401  # imported for what they enter into the table
    calls,
    contraction,
    control,
    conv,
    creation,
    elementwise,
    index,
    linalg,
    reduction,
    shape,
    window,
)
