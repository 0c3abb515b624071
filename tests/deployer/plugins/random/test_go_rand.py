"""What Go 1.26's `math/rand` printed for these seeds, made into numbers by `hash/crc64` with its ISO table."""

from __future__ import annotations

import pytest

from deployer.plugins.random.go_rand import GoRand, _checksum

# Two draws below each limit.
BELOW = {
    "-": {3: (1, 0), 50000: (28308, 22125), 2**31: (832633163, 1607502060), 2**40 + 7: (157581934983, 884195414773)},
    "12345": {3: (2, 1), 50000: (22643, 49832), 2**31: (344422541, 953832165), 2**31 - 1: (1445272643, 1804299832)},
    "stampchat": {3: (0, 2), 4: (0, 3), 2**40 + 7: (895412692999, 287737300735), 1: (0, 0)},
    # The first two draws are thrown away here: a limit just above 2^62 keeps half of them.
    "a": {2**62 + 1: (1481765485003826782, 3130831286082710917), 50000: (35582, 411)},
    "Zürich ☂": {2**62 + 1: (2861543932615763021, 1654588198214338082), 4: (3, 3)},
}
# Two permutations of six in a row.
PERMUTATIONS = {
    "-": ([0, 5, 1, 4, 3, 2], [0, 2, 4, 3, 1, 5]),
    "12345": ([4, 5, 0, 1, 3, 2], [2, 3, 1, 0, 5, 4]),
    "stampchat": ([5, 1, 0, 2, 3, 4], [2, 3, 0, 5, 1, 4]),
    "Zürich ☂": ([5, 4, 0, 3, 1, 2], [4, 5, 3, 0, 2, 1]),
}
# The 2000th number: the state has been gone through three times.
LATE = {"-": 17170718433251816091, "12345": 6778730028880474008, "Zürich ☂": 8499524632631039619}


@pytest.mark.parametrize(("seed", "checksum"), [("-", 0x5360000000000000), ("Zürich ☂", 0xEFEDBC48A827798D)])
def test_a_seed_is_summed_up_as_by_go(seed: str, checksum: int) -> None:
    assert _checksum(seed.encode()) == checksum


@pytest.mark.parametrize("seed", BELOW)
def test_numbers_are_gos(seed: str) -> None:
    for limit, expected in BELOW[seed].items():
        generator = GoRand(seed)
        assert (generator.below(limit), generator.below(limit)) == expected, limit


@pytest.mark.parametrize("seed", PERMUTATIONS)
def test_permutations_are_gos(seed: str) -> None:
    generator = GoRand(seed)

    assert (generator.permutation(6), generator.permutation(6)) == PERMUTATIONS[seed]
    assert generator.permutation(0) == []


@pytest.mark.parametrize("seed", LATE)
def test_a_late_number_is_gos(seed: str) -> None:
    generator = GoRand(seed)

    for _ in range(1999):
        generator.below(2**31)

    assert generator.below(2**62) == LATE[seed] % 2**62
