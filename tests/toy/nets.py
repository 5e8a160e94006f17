"""Nets for the command line to read."""

import sys

from toyframe import Net

net = Net(("body.fc", "linear", 4), ("body.act", "relu"), ("head", "linear", 5))
partly = Net(("fc", "linear", 4), ("odd", "toy.mystery"))
number = 3


def build():
    sys.stdout.write("building\n")  # goes to stderr, never among the results
    return net


def build_with_input():
    from multiprof import TensorSpec

    return net, TensorSpec((2, 3), "float32")


def needs(width):
    return net


def nothing():
    return None


def broken():
    raise ValueError("no luck\nat all")


def leaves():
    sys.exit(3)


def _fail():
    return [][1]


failing = Net(("fc", "linear", 4), check=_fail)
hostile = Net(("\x1b[31mred\nrow", "linear", 4), ("=HYPERLINK(1)|`x`", "relu"))
