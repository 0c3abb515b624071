"""Draw the numbers that Go's `math/rand` draws from a seed, as the official plugin does where a seed is given.

The generator is an additive lagged Fibonacci one, x[n] = x[n-273] + x[n-607] modulo 2^64. Go starts it from a table of
607 numbers, which its sources list and whose origin their `gen_cooked.go` tells: the same generator's state after
7.8 * 10^12 steps. Nobody takes these steps here. The rule is linear, so the state far ahead is one combination of the
first 607 numbers, whose factors are those of x^(7.8 * 10^12) modulo x^607 - x^334 - 1: 43 squarings.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from operator import mul

_LENGTH = 607
_TAP = 273
_STEPS = 7_800_000_000_000
_FEED = _LENGTH - _TAP
_WORD = 2**64 - 1
_INT31 = 2**31 - 1
_INT63 = 2**63 - 1
_CRC64_ISO = 0xD800000000000000
_SEED_OF_ZERO = 89482311
_SKIPPED = 20
# A product of two polynomials sums up to 607 products of two words: 138 bits a coefficient.
_COEFFICIENT = 18


class GoRand:
    """Draw what a `rand.Rand` of Go draws that was made from the text.

    Args:
        seed: any text but the empty one; its checksum is the number that Go's source is seeded with.
    """

    def __init__(self, seed: str) -> None:
        words = zip(_seeded(_checksum(seed.encode()), (40, 20, 0)), _cooked(), strict=True)
        self._state = [word ^ cooked for word, cooked in words]
        self._tap = 0
        self._feed = _FEED

    def below(self, limit: int) -> int:
        """Return a number from 0 up to the limit, which is not drawn itself: Go's `Intn`."""
        bits = 31 if limit <= _INT31 else 63
        if limit & (limit - 1) == 0:
            return self._draw(bits) & (limit - 1)
        highest = 2**bits - 1 - 2**bits % limit
        while (drawn := self._draw(bits)) > highest:
            pass
        return drawn % limit

    def permutation(self, length: int) -> list[int]:
        """Return the numbers from 0 up to the length in another order: Go's `Perm`."""
        drawn: list[int] = []
        for index in range(length):
            place = self.below(index + 1)
            drawn.append(drawn[place] if place < index else index)
            drawn[place] = index
        return drawn

    def _draw(self, bits: int) -> int:
        self._tap = (self._tap - 1) % _LENGTH
        self._feed = (self._feed - 1) % _LENGTH
        word = (self._state[self._feed] + self._state[self._tap]) & _WORD
        self._state[self._feed] = word
        return (word & _INT63) >> (63 - bits)


def _checksum(data: bytes) -> int:
    """Return Go's `crc64.Checksum` with the table `crc64.ISO`."""
    checksum = _WORD
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (_CRC64_ISO if checksum & 1 else 0)
    return checksum ^ _WORD


def _seeded(seed: int, shifts: tuple[int, int, int]) -> Iterator[int]:
    """Yield the words of a state, each of three numbers of a Lehmer generator (factor 48271, modulus 2^31 - 1)."""
    signed = seed - 2**64 if seed > _INT63 else seed
    number = signed % _INT31 or _SEED_OF_ZERO
    number = number * pow(48271, _SKIPPED, _INT31) % _INT31
    for _ in range(_LENGTH):
        word = 0
        for shift in shifts:
            number = number * 48271 % _INT31
            word ^= number << shift
        yield word & _WORD


@cache
def _cooked() -> tuple[int, ...]:
    """Return the state that Go's generator has after its first 7.8 * 10^12 steps, 0.1 s of work."""
    start = list(_seeded(1, (20, 10, 0)))
    # In the order in which they are used up: the feed runs downwards from the last place but the tap.
    numbers = [start[(_FEED - 1 - step) % _LENGTH] for step in range(-_LENGTH, 0)]
    for _ in range(_LENGTH):
        numbers.append((numbers[-_TAP] + numbers[-_LENGTH]) & _WORD)
    factors = _power(_STEPS)
    state = [0] * _LENGTH
    for index in range(_LENGTH):
        place = (_FEED - 1 - (_STEPS - _LENGTH + index)) % _LENGTH
        state[place] = sum(map(mul, factors, numbers[index : index + _LENGTH])) & _WORD
    return tuple(state)


def _power(exponent: int) -> list[int]:
    """Return the coefficients of x^exponent modulo x^607 - x^334 - 1, each modulo 2^64."""
    power = [1] + [0] * (_LENGTH - 1)
    for digit in f"{exponent:b}":
        power = _reduce(_square(power))
        if digit == "1":
            power = _reduce([0, *power])
    return power


def _square(polynomial: list[int]) -> list[int]:
    """Return the square, multiplied as one long whole number with a coefficient in every 18 bytes."""
    packed = int.from_bytes(b"".join(word.to_bytes(_COEFFICIENT, "little") for word in polynomial), "little")
    size = 2 * len(polynomial) * _COEFFICIENT
    product = (packed * packed).to_bytes(size, "little")
    return [
        int.from_bytes(product[start : start + _COEFFICIENT], "little") & _WORD
        for start in range(0, size, _COEFFICIENT)
    ]


def _reduce(polynomial: list[int]) -> list[int]:
    """Replace every power from x^607 on by what equals it."""
    for power in range(len(polynomial) - 1, _LENGTH - 1, -1):
        word = polynomial[power]
        for lower in (power - _LENGTH, power - _TAP):
            polynomial[lower] = (polynomial[lower] + word) & _WORD
    return polynomial[:_LENGTH]
