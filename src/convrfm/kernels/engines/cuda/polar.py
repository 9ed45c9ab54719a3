"""Angles between patches and norms, as all programs compute them.

The arc cosine comes from a polynomial times a square root (largest relative error 2e-8), and all of it also runs under
Triton's interpreter.
"""

from typing import no_type_check

import triton
import triton.language as tl

COINCIDENT: tl.constexpr = tl.constexpr(4 * 2.0**-23)  # 1 less the cosine, of patches that differ by rounding alone
SINGULAR: tl.constexpr = tl.constexpr(8 * 2.0**-23)  # the square of the sine, where that is as good as zero
QUARTER_TURN: tl.constexpr = tl.constexpr(1.5707963267948966)


@triton.jit
@no_type_check  # Triton compiles the source: nothing may be wrapped around it, and no name of Python's stand in it
def polar(s, over):
    """From a covariance and the reciprocal of the product of norms: the cosine, a quarter turn less the angle, the sine.

    Patches that differ by rounding alone coincide.
    """
    cosine = s * over
    a = tl.abs(cosine)
    versed = tl.where(1.0 - a < COINCIDENT, 0.0, 1.0 - a)
    p = 0.00070917150028 * a - 0.0040737465340
    p = p * a + 0.011190693060
    p = p * a - 0.020866181464
    p = p * a + 0.032636771964
    p = p * a - 0.050610487657
    p = p * a + 0.089032286451
    p = p * a - 0.21460126547
    p = p * a + 1.5707963235
    rest = QUARTER_TURN - p * tl.sqrt(versed)
    return cosine, tl.where(cosine < 0, -rest, rest), tl.sqrt(versed * a + versed)


@triton.jit
@no_type_check
def by_angle(t_bar, sine):
    """What an adjoint of T k0 gives the angle; where patches coincide it is singular, and its midpoint zero."""
    apart = sine * sine > SINGULAR
    return tl.where(apart, t_bar / tl.where(apart, sine, 1.0), 0.0)


@triton.jit
@no_type_check
def norm_of(over):
    """The product of norms from its reciprocal, which is 0 for a zero patch."""
    root = tl.rsqrt(over)
    return tl.where(over > 0, root * root, 0.0)
