from __future__ import annotations

import pytest

from tests.promql import selectors


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("a > 1", ["a"]),
        ('sum by (job, le) (rate(a_bucket{port="public"}[5m])) / on (job) b', ["a_bucket", "b"]),
        ("a offset 15m unless max(b)", ["a", "b"]),
        ("histogram_quantile(0.99, sum by (le) (rate(a_bucket[$__rate_interval])))", ["a_bucket"]),
        ('sum without (state) (a{state="used"}) >= b', ["a", "b"]),
        ('absent(a{service="auth"}) or vector(0)', ["a"]),
    ],
)
def test_the_series_of_an_expression_are_found(expression: str, names: list[str]) -> None:
    assert [selector.name for selector in selectors(expression)] == names


def test_labels_are_found_with_their_values() -> None:
    (found,) = selectors('a{port="public",status=~"5.."}')

    assert found.labels == (("port", "public"), ("status", "5.."))
