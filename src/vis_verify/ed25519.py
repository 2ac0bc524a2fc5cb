"""Ed25519 verification (RFC 8032 section 5.1.7), strict, in plain integers.

Stricter than the RFC allows: S is below the order of the group, both points are in their one encoding, and neither is
of small order. The equation is the one without the cofactor, compared as bytes, as OpenSSL does. Signing is not here:
a verifier has nothing to sign, and so nothing in it needs constant time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, P - 2, P) % P
_ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z."""

_NEUTRAL: Point = (0, 1, 1, 0)


def verify(public: bytes, signature: bytes, pieces: Iterable[bytes]) -> bool:
    """Whether the signature of 64 bytes is that of the key over the pieces, one after the other.

    All pieces are read in any case.
    """
    digest = hashlib.sha512(signature[:32] + public)
    for piece in pieces:
        digest.update(piece)
    if len(signature) != 64:
        return False
    key, nonce = usable(public), usable(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(digest.digest(), "little") % ORDER
    return _encoded(_two_multiples(scalar, _BASE, challenge, _negative(key))) == signature[:32]


def usable(encoded: bytes) -> Point | None:
    """The point of these 32 bytes; None unless it is in its one encoding and not of small order."""
    point = _decoded(encoded)
    return None if point is None or _is_neutral(_double(_double(_double(point)))) else point


def _decoded(encoded: bytes) -> Point | None:
    if len(encoded) != 32:
        return None
    number = int.from_bytes(encoded, "little")
    y, odd = number & (2**255 - 1), number >> 255
    if y >= P:
        return None
    x = _x_of(y)
    if x is None or (x == 0 and odd):
        return None
    if x & 1 != odd:
        x = P - x
    return x, y, 1, x * y % P


def _x_of(y: int) -> int | None:
    """One of the two x of a point of the curve with this y. RFC 8032 section 5.1.3."""
    u, v = (y * y - 1) % P, (_D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    square = v * x * x % P
    if square == u:
        return x
    if square == -u % P:
        return x * _ROOT_OF_MINUS_ONE % P
    return None


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _negative(point: Point) -> Point:
    return -point[0] % P, point[1], point[2], -point[3] % P


def _is_neutral(point: Point) -> bool:
    return point[0] == 0 and point[1] == point[2]


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * _D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(point: Point) -> Point:
    a, b = point[0] * point[0] % P, point[1] * point[1] % P
    c = 2 * point[2] * point[2] % P
    h = a + b
    e = h - (point[0] + point[1]) ** 2 % P
    g = a - b
    f = c + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _two_multiples(m: int, one: Point, n: int, other: Point) -> Point:
    """M times one point and n times another, added up, in one run of doublings (Straus)."""
    table = (_NEUTRAL, one, other, _add(one, other))
    total = _NEUTRAL
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        total = _double(total)
        chosen = (m >> bit & 1) | (n >> bit & 1) << 1
        if chosen:
            total = _add(total, table[chosen])
    return total


def _base() -> Point:
    """The generator: y = 4/5, x even."""
    y = 4 * pow(5, P - 2, P) % P
    x = _x_of(y)
    assert x is not None
    x = x if x % 2 == 0 else P - x
    return x, y, 1, x * y % P


_BASE = _base()
