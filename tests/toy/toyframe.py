"""A framework of a few lines: a net is a list of steps, each an op and a size."""


class Net:
    """``steps`` are triples (module path, op, size); ``check`` is called while the net is read."""

    def __init__(self, *steps, check=None):
        self.steps = steps
        self.check = check


class Special(Net):
    pass
