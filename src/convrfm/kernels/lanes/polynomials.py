"""The angle and the sine of a correlation, from one square root and two polynomials.

For 0 <= a <= 1, both arccos(a) / sqrt(1 - a) and sqrt(1 + a) are smooth, so that with w = sqrt(1 - a)

    arccos(a) = w P(a),      sqrt(1 - a^2) = w Q(a).

P and Q minimize the largest relative error on [0, 1] (Remez exchange): 3e-9 in single precision, 4e-18 in double.
"""

from typing import Any

from .vectors import inlined, magnitude, polynomial, square_root, where_less, zero

PI = 3.141592653589793

ARCCOS_SINGLE = (
    1.5707963235,
    -0.21460126547,
    0.089032286451,
    -0.050610487657,
    0.032636771964,
    -0.020866181464,
    0.011190693060,
    -0.0040737465340,
    0.00070917150028,
)
ARCCOS_DOUBLE = (
    1.570796326794896615,
    -0.2146018366025484869,
    0.08904862254764556223,
    -0.05079281451916640473,
    0.03368128657617346619,
    -0.02437432903852357246,
    0.01867233108410851268,
    -0.01488658962477725270,
    0.01221902599739781827,
    -0.01023625953152033301,
    0.008655334002666963567,
    -0.007246416097266740187,
    0.005820147354715691507,
    -0.004294398815647371238,
    0.002767945748114922485,
    -0.001476439268448121531,
    0.0006136745032825756102,
    -0.0001839314875135827948,
    0.00003505463396616774392,
    -3.171884461384732494e-6,
)
ROOT_SINGLE = (
    1.0000000029,
    0.49999947112,
    -0.12498424432,
    0.062318427664,
    -0.037995727828,
    0.023690146834,
    -0.012604597456,
    0.0045943574316,
    -0.00080427807346,
)
ROOT_DOUBLE = (
    1.000000000000000003,
    0.4999999999999972321,
    -0.1249999999996107628,
    0.06249999997828978720,
    -0.03906249935920246164,
    0.02734373842287754930,
    -0.02050767280935342591,
    0.01611208906289640209,
    -0.01308455000047397295,
    0.01087435373294644363,
    -0.009141834756527602942,
    0.007625731194699996012,
    -0.006115767743011365991,
    0.004515172402441252527,
    -0.002916847941576310357,
    0.001561240866970875063,
    -0.0006516420072557712876,
    0.0001962076912716462777,
    -0.00003757233653436483979,
    3.415974249904751805e-6,
)

arccos_over_root = polynomial(ARCCOS_SINGLE, ARCCOS_DOUBLE)
root_of_one_plus = polynomial(ROOT_SINGLE, ROOT_DOUBLE)


coincidence = polynomial((4.76e-7,), (8.8e-16,))  # a little less than 4 eps


@inlined
def angle_and_sine(r: Any) -> Any:
    """The angle in [0, pi] with cosine r, and its sine; what differs from 1 by rounding alone counts as 1."""
    a = magnitude(r)
    gap = 1.0 - a
    w = square_root(where_less(gap, coincidence(a), zero(a), gap))
    acute = w * arccos_over_root(a)
    return where_less(r, zero(a), PI - acute, acute), w * root_of_one_plus(a)
