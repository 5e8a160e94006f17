"""What a model asks about its tensors: no data, the device, values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

META = torch.device("meta")
CPU = torch.device("cpu")

# Questions that need no values: the answers are those of a real tensor of the same shape.
QUESTIONS = {
    "size": lambda x: (x.size(), x.size(0), x.shape, x.dim(), x.ndim, x.numel(), x.nelement(), len(x), torch.numel(x)),
    "memory": lambda x: (x.stride(), x.storage_offset(), x.element_size(), x.itemsize, x.nbytes, x.is_contiguous()),
    "kind": lambda x: (
        x.dtype,
        x.layout,
        x.is_floating_point(),
        torch.is_floating_point(x),
        x.is_complex(),
        x.is_signed(),
    ),
    "graph": lambda x: (x.requires_grad, x.grad, x.grad_fn, x.is_leaf, x.is_inference(), x.output_nr, x._version),
    "others": lambda x: (
        x.is_sparse,
        x.is_quantized,
        x.is_nested,
        x.is_mkldnn,
        x.is_conj(),
        x.is_neg(),
        torch.is_tensor(x),
    ),
    "same": lambda x: (x.is_same_size(x), torch.result_type(x, 1), torch.can_cast(x.dtype, torch.float64)),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_about_no_data(trace: Any, name: str) -> None:
    question = QUESTIONS[name]
    answers: list[Any] = []
    graph = trace(lambda x: answers.append(question(x[1:, ::2])) or x, (3, 4))
    assert [layer.op for layer in graph.layers] == ["slice"]
    assert graph.metadata["kernel_calls"] == 0
    assert answers == [question(torch.zeros(3, 4)[1:, ::2])]


class Places(torch.nn.Module):
    """Notes where its tensors are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        self.seen: list[Any] = []

    def forward(self, x: Any) -> Any:
        for tensor in (x, self.layer.weight, self.layer(x), torch.zeros(2_000, device=x.device), torch.arange(3)):
            self.seen.append(
                (
                    tensor.device,
                    tensor.is_cpu,
                    tensor.is_cuda,
                    tensor.is_meta,
                    tensor.get_device(),
                    torch.get_device(tensor),
                )
            )
        return x.to(self.layer.weight.device)


@pytest.mark.parametrize("home", ["cpu", "meta"])
def test_every_tensor_is_where_the_model_is(trace: Any, home: str) -> None:
    """A model on the meta device sees what it would see on the CPU, so that it takes the same decisions."""
    model = Places().to(home)
    seen = model.seen
    trace(model, (2, 3))
    assert seen == []  # what a trace leaves in a model is taken out of it
    found: list[Any] = []
    trace(lambda x: (model(x), found.extend(model.seen))[0], (2, 3))
    assert found == [(CPU, True, False, False, -1, -1)] * 5


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (lambda n: bool(n[0]), True),
        (lambda n: float(n[0]), 2.0),
        (lambda n: int(n[1]), 5),
        (lambda n: [0, 1, 2][n[0]], 2),
        (lambda n: complex(n[1]), 5 + 0j),
        (lambda n: n[1].item(), 5),
        (lambda n: n.tolist(), [2, 5]),
        (lambda n: (n[:1] > 1).is_nonzero(), True),
        (lambda n: torch.is_nonzero(n[:1]), True),
        (lambda n: torch.equal(n, n + 0), True),
        (lambda n: n.equal(n + 1), False),
        (lambda n: torch.allclose(n, n), True),
        (lambda n: 5 in n, True),
        (lambda n: f"{n[0]} {n.tolist()}", "2 [2, 5]"),
        (lambda n: [int(v) for v in n], [2, 5]),
        (lambda n: (n.sum() - 1).item(), 6),
        (lambda n: n.max().item() if n.any() else 0, 5),
    ],
)
def test_values_at_hand(trace: Any, question: Any, answer: Any) -> None:
    found: list[Any] = []
    graph = trace(lambda x, n: found.append(question(n)) or x, (3, 4), torch.tensor([2, 5]))
    assert found == [answer]
    assert "for real" not in graph.metadata["rung"]


@pytest.mark.parametrize(
    "question",
    [
        lambda x: bool(x.sum()),
        lambda x: float(x.mean()),
        lambda x: x[0, 0].item(),
        lambda x: x.tolist(),
        lambda x: torch.equal(x, x + 1),
        lambda x: torch.allclose(x, x),
        lambda x: x.numpy().shape,
        lambda x: np.asarray(x).shape,
        lambda x: x.data_ptr() != 0,
        lambda x: len(x.untyped_storage()),
        lambda x: 3.0 in x,
    ],
)
def test_values_that_are_not(trace: Any, question: Any) -> None:
    """The model is run for real, and the answer is that of the given values."""
    values = torch.arange(12.0).view(3, 4)
    found: list[Any] = []
    graph = trace(lambda x: found.append(question(x)) or x * 2, values)
    assert found[-1] == question(values)
    assert "for real" in graph.metadata["rung"]
    assert graph.layers[-1].op == "mul"


def test_parameters_have_values(trace: Any) -> None:
    """Reading a weight's value is no reason to run the model, on real devices."""
    scale = torch.nn.Parameter(torch.tensor(2.5))
    graph = trace(lambda x: x * scale.item() if scale > 0 else x, (2, 3))
    assert graph.layers[-1].attrs == {"scalar": 2.5}


def test_what_comes_back_from_numpy_is_untraced(trace: Any) -> None:
    matrix = np.ones((4, 4), np.float32)
    graph = trace(lambda x: torch.from_numpy(x.numpy() @ matrix) * 2, torch.ones(2, 4))
    assert [layer.op for layer in graph.layers] == ["torch.untraced", "mul"]
    # Of a weight nothing that depends on the inputs goes to numpy: what comes back is a constant.
    weight = torch.nn.Parameter(torch.ones(4, 4))
    graph = trace(lambda x: x + torch.from_numpy(weight.detach().numpy() * 2), (4, 4))
    assert [layer.op for layer in graph.layers] == ["add"]


def test_no_grad_inside_a_model_is_no_kernel(trace: Any) -> None:
    def function(x: Any) -> Any:
        with torch.no_grad():
            y = x * 2
        with torch.enable_grad():
            return y + 1

    graph = trace(function, (2, 3))
    assert graph.metadata["kernel_calls"] == 0
    assert [layer.op for layer in graph.layers] == ["mul", "add"]
