"""A training step of a Keras network: read as for inference, turned to training, frozen layers known."""

from __future__ import annotations

import keras

import multiprof


def test_a_step_of_a_network_with_a_frozen_layer():
    """3×3 of 3 → 8 on 30×30 (frozen), a norm, pooling to 15×15, 1,800 → 10, on 4 samples."""
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(8, 3, name="stem"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(10, name="head"),
        ]
    )
    model.get_layer("stem").trainable = False
    report = multiprof.analyze(model, (4, 32, 32, 3), train=True, optimizer="adam")
    stem = 4 * 30 * 30 * 8 * 9 * 3
    head = 4 * 1800 * 10
    assert report.macs == stem + head
    assert report.training.backward.macs == 2 * head  # its input leads to the norm's weights
    (norm,) = (row for row in report.layers if row.op == "batch_norm")
    assert norm.layer.attrs["batch_stats"] and not report.folded()
    terms = report.training.layer(norm.name).cost.terms
    assert "weight_grad" in terms and "input_grad" not in terms  # what is before it is frozen
    trained = 2 * 8 + 1800 * 10 + 10
    assert report.training.gradient_bytes == trained * 4
    assert report.training.state_bytes == 2 * trained * 4 + 4 * 4  # and a step count for each of four weights
    assert report.training.peak is not None
    assert any("read as for inference" in warning for warning in report.warnings)
