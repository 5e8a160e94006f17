"""Plain blocks, whose code calls functions of ``mx.nd``: counted as if it were written for symbols."""

from __future__ import annotations

from typing import Any

import pytest

import multiprof


def test_functions_on_arrays_in_forward(checker: Any) -> None:
    mx = checker.mx

    class Net(mx.gluon.Block):
        def __init__(self) -> None:
            super().__init__()
            self.conv = mx.gluon.nn.Conv2D(4, 3, in_channels=3)  # 8×8 → 6×6
            self.dense = mx.gluon.nn.Dense(5, in_units=64)

        def forward(self, x: Any) -> Any:
            nd = mx.nd
            x = nd.Pooling(nd.relu(self.conv(x)), kernel=(2, 2), stride=(2, 2), pool_type="max")
            x = nd.concat(x.reshape((0, -1)), nd.zeros((2, 28)), dim=1)  # 36 + 28
            return nd.softmax(self.dense(x)), nd.dot(x, nd.ones((64, 3)))

    net = Net()
    net.initialize()
    before = dict(vars(mx.nd))
    report = multiprof.analyze(net, (2, 3, 8, 8), strict=True)
    assert report.macs == 2 * (36 * 4 * 27 + 64 * 5 + 64 * 3)
    assert report.params == 4 * 27 + 4 + 64 * 5 + 5
    assert dict(vars(mx.nd)) == before
    assert [y.shape for y in report.graph.outputs] == [y.shape for y in net(mx.nd.ones((2, 3, 8, 8)))]


def test_states_that_a_recurrent_block_begins_with(checker: Any) -> None:
    mx = checker.mx

    class Net(mx.gluon.Block):
        def __init__(self) -> None:
            super().__init__()
            self.gru = mx.gluon.rnn.GRU(5, input_size=3)

        def forward(self, x: Any) -> Any:
            y, (state,) = self.gru(x, self.gru.begin_state(2))
            return y, state

    net = Net()
    net.initialize()
    report = multiprof.analyze(net, (7, 2, 3), strict=True)
    assert report.macs == 7 * 2 * 3 * 5 * (3 + 5)
    assert report.by_op()["gru"].macs == report.macs
    assert isinstance(net.gru.begin_state(2)[0], mx.nd.NDArray)


def test_what_was_replaced_comes_back_after_an_error(checker: Any) -> None:
    mx = checker.mx

    class Net(mx.gluon.Block):
        def forward(self, x: Any) -> Any:
            return mx.nd.relu(x).asnumpy()

    before = dict(vars(mx.nd))
    with pytest.raises(multiprof.ModelError):
        multiprof.analyze(Net(), (2, 3))
    assert dict(vars(mx.nd)) == before
