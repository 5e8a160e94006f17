"""Tools to test formulas with, for multiprof's own and for everybody's.

`multiprof.testing.counting` has scalars that count their own operations; `multiprof.testing.loops` has the operations
of the vocabulary's contractions written out as naive loops over them.
"""

from multiprof.testing.counting import Array, Counted, Tally

__all__ = ["Array", "Counted", "Tally"]
