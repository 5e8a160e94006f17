"""Embedding: free, but not free of traffic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost
from multiprof.formulas.embedding import embedding
from multiprof.ir import Layer, TensorSpec


def embedding_layer(indices: tuple[int, ...], rows: int, width: int, dtype: str = "float32") -> Layer:
    return Layer(
        "embedding",
        "embedding",
        {"x": TensorSpec(indices, "int64"), "weight": TensorSpec((rows, width), dtype, "w")},
        {"y": TensorSpec((*indices, width), dtype)},
        {"num_embeddings": rows, "embedding_dim": width},
    )


def test_it_does_no_arithmetic_and_says_why() -> None:
    assert embedding.price(embedding_layer((2, 3), 10, 4)) == Cost()
    assert embedding.free == "rows are copied, not computed"


@given(st.lists(st.integers(0, 4), max_size=3).map(tuple), st.integers(1, 50), st.integers(1, 8))
def test_traffic_is_indices_and_the_gathered_rows_never_the_table(
    indices: tuple[int, ...], rows: int, width: int
) -> None:
    # copying element by element: each index is read (8 bytes), then each element of its row is read and written
    read = written = 0
    for _ in range(TensorSpec(indices).numel):
        read += 8
        for _ in range(width):
            read += 2
            written += 2
    assert embedding.traffic(embedding_layer(indices, rows, width, "bfloat16")) == (read, written)


def test_rows_are_read_in_the_dtype_of_the_table() -> None:
    layer = embedding_layer((5,), 1000, 16)
    layer.inputs["weight"] = TensorSpec((1000, 16), "int8", "w")
    assert embedding.traffic(layer) == (5 * 8 + 5 * 16 * 1, 5 * 16 * 4)
