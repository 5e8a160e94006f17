"""What the two exporters of PyTorch make of a network."""

from __future__ import annotations

from differences_torch import GRU_BIASES, LSTM_BIASES, SCALED_TWICE
from expected import Difference


def folded(channels: int) -> Difference:
    """Norms of so many channels together, directly after a convolution without bias."""
    return Difference(
        "the exporter folds norms into the convolutions before them: of scale, shift, mean and variance a bias remains",
        params=-2 * channels + channels,
        buffers=-2 * channels,
    )


DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    ("resnet_stack", "onnx-script"): [folded(3 * 16 + 3 * 32)],
    ("resnet_stack", "onnx-dynamo"): [folded(3 * 16 + 3 * 32)],
    ("mobilenetv2_block", "onnx-script"): [folded((96 + 96 + 16) + (96 + 96 + 24))],
    ("mobilenetv2_block", "onnx-dynamo"): [folded((96 + 96 + 16) + (96 + 96 + 24))],
    # only this exporter folds into a deconvolution; the norm behind the reshape neither does
    ("generator", "onnx-dynamo"): [folded(32)],
    ("bilstm", "onnx-script"): [LSTM_BIASES],
    ("bilstm", "onnx-dynamo"): [LSTM_BIASES],
    ("gru", "onnx-script"): [GRU_BIASES],
    ("gru", "onnx-dynamo"): [GRU_BIASES],
    ("transformer_encoder", "onnx-script"): [SCALED_TWICE],
    ("transformer_encoder", "onnx-dynamo"): [
        SCALED_TWICE,
        Difference("the root of the scale is stored as a tensor of one element, as a weight would be", params=1),
    ],
    ("speech", "onnx-script"): [folded(64 + 128)],
    ("speech", "onnx-dynamo"): [folded(64 + 128)],
}
