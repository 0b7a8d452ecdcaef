"""Inputs of the fuzzer: the same by the same seed, and of a size that a boundary can be asked about.

Not proved here: that they find what is wrong; the planted faults of test_fuzz.py are for that.
"""

import random

from resilience.fuzz.mutation import retold

TREE = [[[[1.0, "lindau"]]]]


def test_json_that_is_retold_stays_small_however_often_lists_are_repeated_within_lists() -> None:
    told = [retold(random.Random(seed), TREE) for seed in range(5_000)]
    assert max(map(len, told)) < 2_000_000
    assert len(set(told)) > 1_000
    assert told[:100] == [retold(random.Random(seed), TREE) for seed in range(100)]
