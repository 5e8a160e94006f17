"""Routes by which a Graph becomes a program that runs: one module or package for each target.

What all targets need of a Graph stands beside them and imports no framework: `plan` (what runs, in which order, and
what is merged or prepared), `share` (how much of the model that is), `layouts` (where the channels and the dimensions
of a weight stand), `parts` (what a slice cuts out) and `values` (which numbers to put into a tensor).
"""
