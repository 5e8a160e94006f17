"""The classic symbol models, as the scripts of MXNet's example folder built them, written out compactly."""

from __future__ import annotations

from typing import Any


class Symbols:
    """Builders of symbols; each returns the symbol and the shapes of its inputs."""

    def __init__(self, mx: Any) -> None:
        self.mx = mx
        self.sym = mx.sym
        self.data = mx.sym.var("data")

    # -- pieces -------------------------------------------------------------------------------------------------------

    def conv(self, x: Any, filters: int, kernel: int, name: str, stride: int = 1, pad: int = 0, **more: Any) -> Any:
        two = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "pad": (pad,) * 2}
        return self.sym.Convolution(x, num_filter=filters, name=name, **{**two, **more})

    def relu(self, x: Any) -> Any:
        return self.sym.Activation(x, act_type="relu")

    def pool(self, x: Any, kernel: int, stride: int, kind: str = "max", **more: Any) -> Any:
        return self.sym.Pooling(x, kernel=(kernel,) * 2, stride=(stride,) * 2, pool_type=kind, **more)

    def conv_bn(self, x: Any, filters: int, kernel: Any, name: str, stride: int = 1, pad: Any = 0, **more: Any) -> Any:
        kernel = kernel if isinstance(kernel, tuple) else (kernel,) * 2
        pad = pad if isinstance(pad, tuple) else (pad,) * 2
        x = self.sym.Convolution(
            x,
            num_filter=filters,
            kernel=kernel,
            stride=(stride,) * 2,
            pad=pad,
            no_bias=True,
            name=f"{name}_conv",
            **more,
        )
        return self.relu(self.sym.BatchNorm(x, fix_gamma=True, name=f"{name}_bn"))

    def head(self, x: Any, classes: int = 1000) -> Any:
        x = self.sym.FullyConnected(self.sym.Flatten(x), num_hidden=classes, name="fc")
        return self.sym.SoftmaxOutput(x, name="softmax")

    # -- classification -----------------------------------------------------------------------------------------------

    def lenet(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        s = self.sym
        x = self.pool(s.Activation(self.conv(self.data, 20, 5, "c1"), act_type="tanh"), 2, 2)
        x = self.pool(s.Activation(self.conv(x, 50, 5, "c2"), act_type="tanh"), 2, 2)
        x = s.Activation(s.FullyConnected(s.Flatten(x), num_hidden=500, name="f1"), act_type="tanh")
        return self.head(x, 10), {"data": (64, 1, 28, 28)}

    def alexnet(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        s = self.sym
        x = self.pool(s.LRN(self.relu(self.conv(self.data, 96, 11, "c1", 4)), nsize=5), 3, 2)
        x = self.pool(s.LRN(self.relu(self.conv(x, 256, 5, "c2", pad=2, num_group=2)), nsize=5), 3, 2)
        x = self.relu(self.conv(x, 384, 3, "c3", pad=1))
        x = self.relu(self.conv(x, 384, 3, "c4", pad=1, num_group=2))
        x = self.pool(self.relu(self.conv(x, 256, 3, "c5", pad=1, num_group=2)), 3, 2)
        for i in (6, 7):
            x = s.Dropout(self.relu(s.FullyConnected(x, num_hidden=4096, name=f"f{i}")), p=0.5)
        return self.head(x), {"data": (1, 3, 227, 227)}

    def _vgg(self, x: Any, blocks: tuple[int, ...] = (2, 2, 3, 3, 3), dilated: bool = False) -> list[Any]:
        """The results of the five stages."""
        found = []
        for stage, (count, filters) in enumerate(zip(blocks, (64, 128, 256, 512, 512), strict=True), 1):
            for i in range(1, count + 1):
                x = self.relu(self.conv(x, filters, 3, f"conv{stage}_{i}", pad=1))
            found.append(x)
            x = self.pool(x, 2, 2, pooling_convention="full" if dilated else "valid", name=f"pool{stage}")
            found.append(x)
        return found

    def vgg16(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        x = self._vgg(self.data)[-1]
        for i in (6, 7):
            x = self.relu(self.sym.FullyConnected(x, num_hidden=4096, name=f"f{i}"))
        return self.head(x), {"data": (2, 3, 224, 224)}

    def squeezenet(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        x = self.pool(self.relu(self.conv(self.data, 96, 7, "conv1", 2)), 3, 2, pooling_convention="full")
        for i, (few, many) in enumerate(
            ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
        ):
            x = self.relu(self.conv(x, few, 1, f"fire{i}_squeeze"))
            left = self.relu(self.conv(x, many, 1, f"fire{i}_left"))
            right = self.relu(self.conv(x, many, 3, f"fire{i}_right", pad=1))
            x = self.sym.Concat(left, right, dim=1)
            if i in (2, 6):
                x = self.pool(x, 3, 2, pooling_convention="full")
        x = self.relu(self.conv(x, 1000, 1, "conv10"))
        x = self.sym.Flatten(self.pool(x, 1, 1, "avg", global_pool=True))
        return self.sym.SoftmaxOutput(x, name="softmax"), {"data": (1, 3, 224, 224)}

    def inception_bn(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        x = self.pool(self.conv_bn(self.data, 64, 7, "1", 2, 3), 3, 2)
        x = self.pool(self.conv_bn(self.conv_bn(x, 64, 1, "2r"), 192, 3, "2", 1, 1), 3, 2)
        for i, (a, br, b, cr, c, kind, d) in enumerate(
            ((64, 64, 64, 64, 96, "avg", 32), (64, 64, 96, 64, 96, "avg", 64), (0, 128, 160, 64, 96, "max", 0),
             (224, 64, 96, 96, 128, "avg", 128), (0, 128, 192, 192, 256, "max", 0),
             (352, 192, 320, 160, 224, "avg", 128))
        ):  # fmt: skip
            stride = 1 if a else 2
            parts = [self.conv_bn(x, a, 1, f"m{i}a")] if a else []
            parts.append(self.conv_bn(self.conv_bn(x, br, 1, f"m{i}br"), b, 3, f"m{i}b", stride, 1))
            double = self.conv_bn(self.conv_bn(x, cr, 1, f"m{i}cr"), c, 3, f"m{i}c0", 1, 1)
            parts.append(self.conv_bn(double, c, 3, f"m{i}c1", stride, 1))
            pooled = self.pool(x, 3, stride, kind, pad=(1, 1))
            parts.append(self.conv_bn(pooled, d, 1, f"m{i}d") if d else pooled)
            x = self.sym.Concat(*parts, name=f"m{i}")
        return self.head(self.pool(x, 7, 1, "avg")), {"data": (2, 3, 224, 224)}

    def inception_v3(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        """The stem, one module of each of the first three kinds, with 1×7 and 7×1 windows."""
        x = self.conv_bn(self.data, 32, 3, "s0", 2)
        x = self.conv_bn(self.conv_bn(x, 32, 3, "s1"), 64, 3, "s2", 1, 1)
        x = self.conv_bn(self.conv_bn(self.pool(x, 3, 2), 80, 1, "s3"), 192, 3, "s4")
        x = self.pool(x, 3, 2)
        five = self.conv_bn(self.conv_bn(x, 48, 1, "a5r"), 64, 5, "a5", 1, 2)
        pooled = self.conv_bn(self.pool(x, 3, 1, "avg", pad=(1, 1)), 32, 1, "ap")
        x = self.sym.Concat(self.conv_bn(x, 64, 1, "a1"), five, pooled)
        x = self.sym.Concat(self.conv_bn(x, 384, 3, "b3", 2), self.pool(x, 3, 2))
        seven = self.conv_bn(
            self.conv_bn(self.conv_bn(x, 128, 1, "c7r"), 128, (1, 7), "c7a", 1, (0, 3)), 192, (7, 1), "c7b", 1, (3, 0)
        )
        x = self.sym.Concat(self.conv_bn(x, 192, 1, "c1"), seven)
        return self.head(self.pool(x, 8, 1, "avg", global_pool=True)), {"data": (1, 3, 299, 299)}

    def resnet(
        self, version: int, groups: int = 1, blocks: tuple[int, ...] = (3, 4, 6, 3)
    ) -> tuple[Any, dict[str, tuple[int, ...]]]:
        """Version 1 or 2 with bottlenecks; with groups it is ResNeXt, whose 3×3 convolutions are half as wide."""
        s = self.sym
        x = self.data
        if version == 2:
            x = s.BatchNorm(x, fix_gamma=True, eps=2e-5, name="bn_data")
        x = self.pool(self.conv_bn(x, 64, 7, "stem", 2, 3), 3, 2, pad=(1, 1))
        for stage, (count, filters) in enumerate(zip(blocks, (256, 512, 1024, 2048), strict=True), 1):
            for unit in range(1, count + 1):
                name, stride = f"stage{stage}_unit{unit}", 2 if unit == 1 and stage > 1 else 1
                narrow = filters // 4 if groups == 1 else filters // 2
                y = x
                if version == 2:
                    y = self.relu(s.BatchNorm(y, fix_gamma=False, name=f"{name}_bn0"))
                skip = x if unit > 1 else s.Convolution(
                    y if version == 2 else x, num_filter=filters, kernel=(1, 1), stride=(stride,) * 2, no_bias=True,
                    name=f"{name}_sc",
                )  # fmt: skip
                y = self.conv_bn(y, narrow, 1, f"{name}_a")
                y = self.conv_bn(y, narrow, 3, f"{name}_b", stride, 1, num_group=groups)
                y = s.Convolution(y, num_filter=filters, kernel=(1, 1), no_bias=True, name=f"{name}_c")
                if version == 1:
                    y = s.BatchNorm(y, fix_gamma=False, name=f"{name}_bn")
                x = y + skip if version == 2 else self.relu(y + skip)
        return self.head(self.pool(x, 7, 1, "avg", global_pool=True)), {"data": (1, 3, 224, 224)}

    # -- segmentation and detection -----------------------------------------------------------------------------------

    def fcn(self, factor: int, size: int = 384) -> tuple[Any, dict[str, tuple[int, ...]]]:
        """FCN-32s, -16s or -8s: the first convolution pads by 100, and what comes out is cropped to the data."""
        s, classes = self.sym, 21
        x = self.relu(self.conv(self.data, 64, 3, "conv1_1", pad=100))
        x = self.pool(self.relu(self.conv(x, 64, 3, "conv1_2", pad=1)), 2, 2, pooling_convention="full")
        pools = {}
        for stage, (count, filters) in enumerate(((2, 128), (3, 256), (3, 512), (3, 512)), 2):
            for i in range(1, count + 1):
                x = self.relu(self.conv(x, filters, 3, f"conv{stage}_{i}", pad=1))
            x = pools[stage] = self.pool(x, 2, 2, pooling_convention="full", name=f"pool{stage}")
        x = s.Dropout(self.relu(self.conv(x, 4096, 7, "fc6")))
        x = s.Dropout(self.relu(self.conv(x, 4096, 1, "fc7")))
        x = self.conv(x, classes, 1, "score")

        def up(x: Any, k: int, name: str, **more: Any) -> Any:
            kernel = {"kernel": (2 * k,) * 2, "stride": (k,) * 2}
            return s.Deconvolution(x, num_filter=classes, no_bias=True, name=name, **kernel, **more)

        offset = 19
        if factor < 32:
            x = up(x, 2, "score2", adj=(1, 1))
            x = s.Crop(self.conv(pools[4], classes, 1, "score_pool4"), x, offset=(5, 5), num_args=2) + x
            offset = 27
        if factor < 16:
            x = up(x, 2, "score4", adj=(1, 1))
            x = s.Crop(self.conv(pools[3], classes, 1, "score_pool3"), x, offset=(9, 9), num_args=2) + x
            offset = 31
        x = s.Crop(up(x, factor, "bigscore"), self.data, offset=(offset, offset), num_args=2, name="upscore")
        return s.SoftmaxOutput(x, multi_output=True, use_ignore=True, name="softmax"), {"data": (1, 3, size, size)}

    def ssd(self, training: bool = False) -> tuple[Any, dict[str, tuple[int, ...]]]:
        s, classes = self.sym, 20
        stages = self._vgg(self.data, dilated=True)
        x = self.sym.Pooling(stages[8], kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="max")
        x = self.relu(self.conv(x, 1024, 3, "fc6", pad=6, dilate=(6, 6)))
        x = self.relu(self.conv(x, 1024, 1, "fc7"))
        scale = s.var("relu4_3_scale", shape=(1, 512, 1, 1), init="one")
        layers = [s.broadcast_mul(s.L2Normalization(stages[6], mode="channel"), scale), x]
        for i in range(3):
            x = self.relu(self.conv(x, 256, 1, f"multi_{i}_1x1"))
            x = self.relu(self.conv(x, 512, 3, f"multi_{i}_3x3", stride=2, pad=1))
            layers.append(x)
        boxes, scores, anchors = [], [], []
        for i, layer in enumerate(layers):
            sizes, ratios = (0.1 + 0.1 * i, 0.15 + 0.1 * i), (1, 2, 0.5)
            count = len(sizes) + len(ratios) - 1
            boxes.append(s.Flatten(s.transpose(self.conv(layer, count * 4, 3, f"loc{i}", pad=1), axes=(0, 2, 3, 1))))
            scores.append(
                s.Flatten(s.transpose(self.conv(layer, count * (classes + 1), 3, f"cls{i}", pad=1), axes=(0, 2, 3, 1)))
            )
            prior = s.contrib.MultiBoxPrior(layer, sizes=sizes, ratios=ratios, clip=False, name=f"anchors{i}")
            anchors.append(s.Flatten(prior))
        locations = s.Concat(*boxes, dim=1, name="multibox_loc_pred")
        predictions = s.Reshape(s.Concat(*scores, dim=1), shape=(0, -1, classes + 1))
        predictions = s.transpose(predictions, axes=(0, 2, 1), name="multibox_cls_pred")
        prior = s.Reshape(s.Concat(*anchors, dim=1), shape=(0, -1, 4), name="multibox_anchors")
        shapes = {"data": (2, 3, 300, 300)}
        if not training:
            chances = s.softmax(predictions, axis=1, name="cls_prob")
            return s.contrib.MultiBoxDetection(chances, locations, prior, name="detection", nms_threshold=0.5), shapes
        target = s.contrib.MultiBoxTarget(prior, s.var("label"), predictions, name="multibox_target")
        chances = s.SoftmaxOutput(
            predictions, target[2], ignore_label=-1, use_ignore=True, multi_output=True, name="cls_prob"
        )
        loss = s.MakeLoss(s.smooth_l1(target[1] * (locations - target[0]), scalar=1.0), name="loc_loss")
        return s.Group([chances, loss, s.BlockGrad(target[2], name="cls_label")]), {**shapes, "label": (2, 8, 5)}

    # -- sequences and others -----------------------------------------------------------------------------------------

    def language_model(self, fused: bool) -> tuple[Any, dict[str, tuple[int, ...]]]:
        """Two LSTM layers of 200 units over 35 steps: the fused operator, or unrolled cells."""
        s, mx, hidden, steps = self.sym, self.mx, 200, 35
        embedded = s.Embedding(self.data, input_dim=10000, output_dim=hidden, name="embed")
        stack: Any
        if fused:
            stack = mx.rnn.FusedRNNCell(hidden, num_layers=2, mode="lstm", prefix="lstm_")
        else:
            stack = mx.rnn.SequentialRNNCell()
            for i in range(2):
                stack.add(mx.rnn.LSTMCell(hidden, prefix=f"lstm_l{i}_"))
        stack.reset()
        made, _ = stack.unroll(steps, inputs=embedded, merge_outputs=True, layout="NTC")
        x = s.FullyConnected(s.Reshape(made, shape=(-1, hidden)), num_hidden=10000, name="pred")
        label = s.Reshape(s.var("softmax_label"), shape=(-1,))
        return s.SoftmaxOutput(x, label, name="softmax"), {"data": (32, steps), "softmax_label": (32, steps)}

    def dcgan(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        s, x = self.sym, self.sym.var("rand")
        for i, filters in enumerate((512, 256, 128, 64, 3)):
            stride, pad = ((1, 1), (0, 0)) if i == 0 else ((2, 2), (1, 1))
            x = s.Deconvolution(
                x, kernel=(4, 4), stride=stride, pad=pad, num_filter=filters, no_bias=True, name=f"g{i}"
            )
            if i < 4:
                x = self.relu(s.BatchNorm(x, fix_gamma=True, eps=1e-5, name=f"gbn{i}"))
        return s.Activation(x, act_type="tanh", name="gact"), {"rand": (16, 100, 1, 1)}

    def c3d(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        s, x = self.sym, self.data
        for i, (filters, count) in enumerate(((64, 1), (128, 1), (256, 2), (512, 2), (512, 2))):
            for j in range(count):
                x = self.relu(
                    s.Convolution(x, num_filter=filters, kernel=(3, 3, 3), pad=(1, 1, 1), name=f"conv{i}_{j}")
                )
            window = (1, 2, 2) if i == 0 else (2, 2, 2)
            x = s.Pooling(x, kernel=window, stride=window, pool_type="max", pooling_convention="full")
        for i in (6, 7):
            x = self.relu(s.FullyConnected(x, num_hidden=4096, name=f"f{i}"))
        return self.head(x, 487), {"data": (1, 3, 16, 112, 112)}

    def wavenet(self) -> tuple[Any, dict[str, tuple[int, ...]]]:
        """Dilated convolutions of one dimension, gated, with skips."""
        s = self.sym
        x = s.Convolution(self.data, num_filter=32, kernel=(1,), name="in")
        total = None
        for i in range(6):
            d = 2**i
            args = {"num_filter": 32, "kernel": (2,), "dilate": (d,), "pad": (d,)}
            gated = s.Activation(s.Convolution(x, name=f"f{i}", **args), act_type="tanh") * s.sigmoid(
                s.Convolution(x, name=f"g{i}", **args)
            )
            gated = s.slice_axis(gated, axis=2, begin=0, end=-d)
            skip = s.Convolution(gated, num_filter=64, kernel=(1,), num_group=2, name=f"skip{i}")
            total = skip if total is None else total + skip
            x = x + s.Convolution(gated, num_filter=32, kernel=(1,), name=f"res{i}")
        total = s.Convolution(s.relu(total), num_filter=256, kernel=(1,), name="out")
        return s.SoftmaxActivation(total, mode="channel"), {"data": (2, 16, 1000)}
