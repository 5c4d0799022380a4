"""The network in plain PyTorch, as one would write it there; names and weights are those of an exported model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
}


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: the smaller half first."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads.append((total // 2, total - total // 2))
        (top, bottom), (left, right) = pads
        if top == bottom and left == right:
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left))
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameDeconv(nn.ConvTranspose2d):
    """A transposed convolution to ``size``, cropped as TensorFlow does."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, size: tuple[int, int]):
        crop = max(kernel - stride, 0) // 2
        super().__init__(
            inputs,
            outputs,
            kernel,
            stride,
            padding=crop,
            output_padding=max(stride - kernel, 0),
        )
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        height, width = self.size
        if y.shape[2] == height and y.shape[3] == width:
            return y
        # Batch normalization is slow on a view with gaps.
        y = y[:, :, :height, :width]
        return y.contiguous(memory_format=self.layout)

    layout = torch.contiguous_format


class Network(nn.Module):
    """Images N×C×H×W in [0, 1] to logits of the same shape; ``options`` are complete."""

    def __init__(self, options: dict[str, Any], channels_last: bool):
        super().__init__()
        for name in ("kernel", "bias", "activity", "cnnKernel"):
            if any(options[f"{name}Regularizer"].values()):
                raise ValueError("no network with regularizers is compared")
        self.options = options
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.encoder, self.decoder = nn.Module(), nn.Module()
        filters, kernels, strides = options["filters"], options["kernelSize"], options["strides"]
        self.count = len(filters)
        height, width, channels = options["height"], options["width"], options["channels"]

        self.sizes = []
        for i in range(self.count):
            self.encoder.add_module(f"conv_{i}", SameConv(channels, filters[i], kernels[i], strides[i]))
            self.encoder.add_module(f"conv_{i}_bn", self._norm(nn.BatchNorm2d, filters[i]))
            height, width = -(-height // strides[i]), -(-width // strides[i])
            self.sizes.append((height, width))
            channels = filters[i]
            if options["pooling"][i] != "no":
                height, width = -(-height // 2), -(-width // 2)
        self.map_shape = (channels, height, width)
        length = channels * height * width

        self.encoder_dense = self.decoder_dense = 0
        if options["mlp"]:
            dims = options["dims"]
            back = dims if len(dims) == 1 else dims[::-1][1:]
            inner = self._dense(self.encoder, length, dims)
            self._dense(self.decoder, inner, [*back, length], plain=2)
            self.encoder_dense, self.decoder_dense = len(dims), len(back) + 1

        inputs = filters[-1]
        for i in range(self.count - 2, -1, -1):
            deconv = SameDeconv(inputs, filters[i], kernels[i + 1], strides[i + 1], self.sizes[i])
            deconv.layout = self.layout
            self.decoder.add_module(f"deconv_{i}", deconv)
            self.decoder.add_module(f"deconv_{i}_bn", self._norm(nn.BatchNorm2d, filters[i]))
            inputs = filters[i]
        size = (options["height"], options["width"])
        end = SameDeconv(inputs, options["channels"], kernels[0], strides[0], size)
        end.layout = self.layout
        self.decoder.add_module("deconv_end", end)
        self.decoder.add_module("deconv_end_bn", self._norm(nn.BatchNorm2d, options["channels"]))
        self.activation = ACTIVATIONS[options["activation"]]
        self.last_activation = ACTIVATIONS[options["lastActivation"]]
        self.to(memory_format=self.layout)

    def _norm(self, kind: type[nn.Module], width: int) -> nn.Module:
        options = self.options
        return kind(width, eps=options["batchNormEpsilon"], momentum=1 - options["batchNormMomentum"])

    def _dense(self, part: nn.Module, inputs: int, widths: list[int], plain: int = 1) -> int:
        """Adds dense layers, all but the last ``plain`` with batch normalization."""
        for i, width in enumerate(widths):
            part.add_module(f"dense_{i}", nn.Linear(inputs, width, bias=self.options["useBias"]))
            if i < len(widths) - plain:
                part.add_module(f"dense_{i}_bn", self._norm(nn.BatchNorm1d, width))
            inputs = width
        return inputs

    def encode(self, x: Tensor) -> Tensor:
        part = self.encoder
        for i in range(self.count):
            x = self.activation(getattr(part, f"conv_{i}_bn")(getattr(part, f"conv_{i}")(x)))
            if self.options["pooling"][i] == "avg":
                x = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
            elif self.options["pooling"][i] == "max":
                x = F.max_pool2d(x, 2, ceil_mode=True)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = F.dropout(x, self.options["dropRate"], self.training)
        for i in range(self.encoder_dense):
            x = getattr(part, f"dense_{i}")(x)
            if i == self.encoder_dense - 1:
                return self.last_activation(x)
            x = self.activation(getattr(part, f"dense_{i}_bn")(x))
            x = F.dropout(x, self.options["dropRate"], self.training)
        return x

    def decode(self, x: Tensor) -> Tensor:
        part, pooling = self.decoder, self.options["pooling"]
        for i in range(self.decoder_dense):
            x = getattr(part, f"dense_{i}")(x)
            if i < self.decoder_dense - 2:
                x = self.activation(getattr(part, f"dense_{i}_bn")(x))
            else:
                x = self.last_activation(x)
        channels, height, width = self.map_shape
        x = x.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)
        x = x.contiguous(memory_format=self.layout)
        x = self._upsampled(x, self.count - 1)
        for i in range(self.count - 2, -1, -1):
            if pooling[i] != "no":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.activation(getattr(part, f"deconv_{i}_bn")(getattr(part, f"deconv_{i}")(x)))
        return part.deconv_end_bn(part.deconv_end(x))

    def _upsampled(self, x: Tensor, i: int) -> Tensor:
        if self.options["pooling"][i] == "no":
            return x
        height, width = self.sizes[i]
        return F.interpolate(x, scale_factor=2, mode="nearest")[:, :, :height, :width]

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def optimizer(name: str, learning_rate: float, model: nn.Module) -> torch.optim.Optimizer:
    """PyTorch's fastest form of an optimizer, with Keras's hyper-parameters."""
    if name == "adadelta":
        return torch.optim.Adadelta(
            model.parameters(), lr=learning_rate, rho=0.95, eps=1e-7, foreach=True
        )
    if name == "adam":
        return torch.optim.Adam(model.parameters(), lr=learning_rate, eps=1e-7, fused=True)
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=learning_rate, fused=True)
    raise ValueError(f"no network with {name} is compared")
