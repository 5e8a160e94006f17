# Prices PyTorch's fast Fourier transforms as radix-2: |x|/2 butterflies a stage, half of them where the signal is real.
from multiprof import Cost, Counts, formula, hookimpl


def butterflies(layer):
    """B: butterflies of all stages"""
    signal = layer.outputs["y"] if layer.op.endswith("c2r") else layer.inputs["self"]
    stages = sum((signal.shape[d] - 1).bit_length() for d in layer.attrs["dim"])  # log2, rounded up
    return {"B": -(-signal.numel * stages // (2 if layer.op.endswith("c2c") else 4))}


@formula("torch.aten._fft_r2c", "torch.aten._fft_c2c", "torch.aten._fft_c2r", symbols=butterflies)
def fft(layer):
    """butterflies: 4·B muls, 6·B adds"""
    return Cost({"butterflies": Counts(muls=4, adds=6)}) * butterflies(layer)["B"]


@hookimpl
def multiprof_formulas():
    return [fft]
