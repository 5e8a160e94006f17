"""Einstein sums as steps: computed step by step they give what the whole equation means, by a loop over all indices."""

from __future__ import annotations

import itertools
import random

import pytest

from multiprof.adapters._common.einsum import matmul_terms, plan, sizes_of, steps
from multiprof.errors import ModelError

Table = dict[tuple[int, ...], int]


def evaluate(terms: list[str], out: str, sizes: dict[str, int], tables: list[Table]) -> Table:
    """The sum over all indices that ``out`` lacks of the products of the operands, one assignment after the other."""
    letters = sorted(set("".join(terms)) | set(out))
    result: Table = dict.fromkeys(itertools.product(*(range(sizes[x]) for x in out)), 0)
    for values in itertools.product(*(range(sizes[x]) for x in letters)):
        at = dict(zip(letters, values, strict=True))
        product = 1
        for term, table in zip(terms, tables, strict=True):
            product *= table[tuple(at[x] for x in term)]
        result[tuple(at[x] for x in out)] += product
    return result


@pytest.mark.parametrize("seed", range(150))
def test_steps_compute_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randint(1, 4)
    terms = ["".join(chance.choice("abcd") for _ in range(chance.randint(0, 3))) for _ in range(count)]
    used = sorted(set("".join(terms)))
    out = "".join(chance.sample(used, chance.randint(0, len(used))))
    sizes = {letter: chance.randint(1, 3) for letter in "abcd"}
    tables = [
        {key: chance.randint(-3, 3) for key in itertools.product(*(range(sizes[x]) for x in term))} for term in terms
    ]
    found = plan(f"{','.join(terms)}->{out}", tuple(len(term) for term in terms))
    assert (found.terms, found.out) == (tuple(terms), out)
    made: list[tuple[str, Table]] = list(zip(terms, tables, strict=True))
    for step in steps(found):
        given = [made[i] for i in step.operands]
        assert tuple(term for term, _ in given) == step.terms
        assert len(given) == (2 if step.kind == "product" else 1)
        made.append((step.out, evaluate([t for t, _ in given], step.out, sizes, [table for _, table in given])))
    assert made[-1][1] == evaluate(terms, out, sizes, tables)
    assert sum(step.kind == "product" for step in steps(found)) == count - 1


def test_indices_that_nobody_needs_are_summed_before_the_product() -> None:
    kinds = [(step.kind, step.terms, step.out) for step in steps(plan("ij,kl->ik", (2, 2)))]
    assert kinds == [("sum", ("ij",), "i"), ("sum", ("kl",), "k"), ("product", ("i", "k"), "ik")]


def test_an_implicit_result_has_the_letters_that_stand_once_in_order() -> None:
    assert plan("ba,ac", (2, 2)).out == "bc"
    found = plan("...ij,jk", (4, 2))
    assert found.out == found.terms[0][:2] + "ik"


def test_dimensions_under_an_ellipsis_are_aligned_at_the_right() -> None:
    found = plan("...i,...i->...", (3, 2))
    assert found.terms[0][1:] == found.terms[1]
    assert found.out == found.terms[0][:2]


def test_sizes() -> None:
    assert sizes_of(("ij", "jk"), ((2, 1), (3, 4))) == {"i": 2, "j": 3, "k": 4}
    assert sizes_of(("ij", "jk"), ((2, None), (3, 4))) == {"i": 2, "j": 3, "k": 4}
    with pytest.raises(ModelError, match="j"):
        sizes_of(("ij", "jk"), ((2, 5), (3, 4)))


@pytest.mark.parametrize(
    ("equation", "ranks"),
    [("ij", (2, 2)), ("i,j->k", (1, 1)), ("ij->ii", (2,)), ("i->i", (2,)), ("1->", (1,)), ("......i->i", (3,))],
)
def test_an_equation_that_says_nothing_is_an_error(equation: str, ranks: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="here"):
        plan(equation, ranks, "here")


@pytest.mark.parametrize("ranks", list(itertools.product(range(1, 5), repeat=2)))
def test_the_letters_of_a_product(ranks: tuple[int, int]) -> None:
    a, b, out = matmul_terms(*ranks)
    assert (len(a), len(b)) == ranks
    assert set(a) & set(b) - set(out) == {"j"}
    assert len(out) == max(0, max(ranks) - 2) + (ranks[0] > 1) + (ranks[1] > 1)
