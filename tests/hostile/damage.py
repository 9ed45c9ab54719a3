"""What happens to bytes, and to plain values, on the way to a user."""

import json
import random
from typing import Any

VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    1 << 70,
    0.5,
    -0.0,
    float("nan"),
    float("inf"),
    "",
    "猫",
    "x" * 999,
    [],
    [[]],
    {},
    {"a": 1},
]


def damaged_bytes(whole: bytes, rng: random.Random) -> bytes:
    """Cut short, with turned bits, with a piece of noise, or with a piece twice."""
    at, length = rng.randrange(len(whole)), rng.randrange(1, 40)
    match rng.randrange(5):
        case 0:
            return whole[:at]
        case 1:
            return whole[:at] + rng.randbytes(length) + whole[at + length :]
        case 2:
            return whole[:at] + whole[at : at + length] * 2 + whole[at + length :]
        case _:
            turned = bytearray(whole)
            for _ in range(rng.choice((1, 1, 1, 5))):
                turned[rng.randrange(len(turned))] ^= 1 << rng.randrange(8)
            return bytes(turned)


def damaged_values(values: Any, rng: random.Random) -> Any:
    """Plain values with one of them, anywhere, replaced or taken away."""
    values = json.loads(json.dumps(values))
    holder = values
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        if not keys:
            return values
        key = rng.choice(keys)
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            holder = inner
        elif rng.random() < 0.2:
            del holder[key]
            return values
        else:
            holder[key] = rng.choice(VALUES)
            return values
