"""The gain, by lemmas: what no solver does with 256-bit divisions at once, it does step by step over the integers.

Together they say, of `isqrt` for every 256-bit number, and of `Mechanism.gain` for every value v < 2**96, own samples
1 <= N < 2**64 and imports x, y < 2**72:

    isqrt(n)**2 <= n < (isqrt(n) + 1)**2
    G(0) = 0,    0 <= G(x) <= v,    x <= y => G(x) <= G(y),    G(x + y) <= G(x) + G(y)

What is proven is the formulas, written down here once more; `GainExhaustive.sol` holds the contracts to them. Roots of
numbers below 2**16 are left to it, since the first estimate is worse there. Run by .venv-halmos/bin/python.
"""

import sys
import time
from fractions import Fraction

from z3 import (
    UGE,
    ULT,
    And,
    BitVec,
    BitVecVal,
    BoolRef,
    If,
    Implies,
    Int,
    Ints,
    LShR,
    Not,
    Or,
    Real,
    Reals,
    Solver,
    unsat,
)

ONE = 2**96  # a root of 96 fractional bits
lemmas: dict[str, BoolRef | bool] = {}


def quotient(q, a, b):
    """q = a / b, rounded down."""
    return And(q * b <= a, a < q * b + b, b > 0)


def root(r, n):
    """r = isqrt(n)."""
    return And(r >= 0, r * r <= n, n < (r + 1) * (r + 1))


# --- isqrt ---

# n has 25 bits or more: then r is even and leaves 2**8 <= n >> r < 2**24.
n = BitVec("n", 256)
r = If(ULT(BitVecVal(2**136 - 1, 256), n), BitVecVal(128, 256), BitVecVal(0, 256))
for bits, limit in ((64, 72), (32, 40), (16, 24)):
    r = r | If(ULT(BitVecVal(2**limit - 1, 256), LShR(n, r)), BitVecVal(bits, 256), BitVecVal(0, 256))
y = LShR(n, r)
lemmas["isqrt: what is left of n has 9 to 24 bits"] = Implies(
    UGE(n, BitVecVal(2**24, 256)),
    And(UGE(y, BitVecVal(2**8, 256)), ULT(y, BitVecVal(2**24, 256)), UGE(r, 16), r & 1 == 0),
)

# With t = n / 2**r the first estimate, over 2**(r / 2), is w = 181 * (y + 2**16) / 2**18, less what is rounded off:
# below 2**-8, because 2**(r / 2) is at least 2**8.
t, whole, w = Reals("t whole w")
estimate = And(whole >= 256, whole < 2**24, whole <= t, t < whole + 1, w == 181 * (whole + 2**16) / 2**18)
lemmas["isqrt: the estimate is at most 2.84 times the root"] = Implies(estimate, w * w <= Fraction(284, 100) ** 2 * t)
lemmas["isqrt: and at least 0.35 times"] = Implies(
    estimate, And(w > 1, (w - Fraction(1, 256)) ** 2 >= Fraction(35, 100) ** 2 * t)
)
# From 17 to 24 bits r is 0 and nothing is shifted, but as much as 1 rounded off.
lemmas["isqrt: at least 0.34 times where n has 17 to 24 bits"] = Implies(
    And(estimate, whole >= 2**16), And(w > 1, (w - 1) ** 2 >= Fraction(34, 100) ** 2 * t)
)

# A step from z = s * (1 + e), s the real root of n, comes to s * (1 + e**2 / (2 + 2 * e)) at most.
s, e, z = Reals("s e z")
lemmas["isqrt: what a step makes of an error"] = Implies(
    And(s > 0, e > -1, z == s * (1 + e)), z + s * s / z == 2 * s * (1 + e * e / (2 + 2 * e))
)
d = Real("d")
lemmas["isqrt: a larger error stays larger"] = Implies(And(e >= 0, e <= d), e * e * (2 + 2 * d) <= d * d * (2 + 2 * e))


def step_from(least: Fraction, most: Fraction, result: Fraction) -> BoolRef:
    """That a step brings an error between `least` and `most` to `result` at most."""
    return Implies(And(e >= least, e <= most), e * e <= result * (2 + 2 * e))


def six_steps_from(error: Fraction) -> Fraction:
    for _ in range(6):
        error = error**2 / (2 + 2 * error)
    return error


lemmas["isqrt: the first step, from 25 bits on"] = step_from(Fraction(-65, 100), Fraction(184, 100), Fraction(61, 100))
lemmas["isqrt: six more, and it is below a sixteenth of a root of 128 bits"] = six_steps_from(
    Fraction(61, 100)
) < Fraction(1, 2**132)
lemmas["isqrt: the first step, of 17 to 24 bits"] = step_from(Fraction(-66, 100), Fraction(184, 100), Fraction(65, 100))
lemmas["isqrt: six more, and it is below a sixteenth of a root of 12 bits"] = six_steps_from(
    Fraction(65, 100)
) < Fraction(1, 2**16)

# No step ends below the root rounded down; from that root or 1 more, a step ends there again.
N, Z, Q, H, K = Ints("N Z Q H K")
step = And(Z >= 1, N >= 0, quotient(Q, N, Z), 2 * H <= Z + Q, Z + Q < 2 * H + 2)
lemmas["isqrt: no step ends below the root"] = Implies(
    And(step, (Z - Q - 1) * (Z - Q - 1) >= 0, H >= 0), N < (H + 1) * (H + 1)
)
lemmas["isqrt: from there or 1 more, a step ends there or at 1 more"] = Implies(
    And(step, root(K, N), Or(Z == K, Z == K + 1)), And(H >= K, H <= K + 1)
)
lemmas["isqrt: within a sixteenth above, it is the root or 1 more"] = Implies(
    And(s >= 0, z >= 0, z <= s + Fraction(1, 16), s < d + 1), z < d + 2
)
lemmas["isqrt: the last line takes the 1 off"] = Implies(
    And(root(K, N), N > 0, Or(Z == K, Z == K + 1), quotient(Q, N, Z)), Z - If(Q < Z, 1, 0) == K
)

# --- the gain ---

V, S, X, Y, A, B, C, P = Ints("V S X Y A B C P")
lemmas["gain: a larger number has no smaller root"] = Implies(And(root(A, X), root(B, Y), X <= Y), A <= B)
lemmas["gain: a larger divisor has no larger quotient"] = Implies(
    And(S >= 1, X >= 0, X <= Y, N >= 0, quotient(A, N, S + X), quotient(B, N, S + Y)), B <= A
)
lemmas["gain: nothing imported, the quotient is 2**192"] = Implies(And(S >= 1, quotient(A, S * 2**192, S)), A == 2**192)
lemmas["gain: whose root is 1"] = And(ONE * ONE == 2**192, Implies(root(A, 2**192), A == ONE))
share = And(V >= 0, A >= 0, quotient(P, V * A, Int("one")), Int("one") == ONE)
lemmas["gain: at a root of 1 it is 0"] = Implies(And(share, A == ONE), V - P == 0)
lemmas["gain: 0 <= G <= v"] = Implies(And(share, A <= ONE), And(V - P >= 0, V - P <= V))
lemmas["gain: a smaller root, no smaller gain"] = Implies(
    And(share, quotient(Q, V * B, ONE), B >= 0, B <= A), V - Q >= V - P
)
lemmas["gain: no product leaves 256 bits"] = (2**64 - 1 << 192) < 2**256 and (2**96 - 1) * ONE < 2**256

# Exactly: a, b, c the roots of N / (N + x), N / (N + y), N / (N + x + y), so 1/a² + 1/b² = 1/c² + 1.
a, b, c = Reals("a b c")
lemmas["gain: without rounding, a sum brings no more than its parts"] = Implies(
    And(a > 0, a <= 1, b > 0, b <= 1, c > 0, c * c * (a * a + b * b - a * a * b * b) == a * a * b * b), a + b <= 1 + c
)
i, j, k = Reals("i j k")


def up(whole, part):
    """`whole` is `part` rounded up."""
    return And(whole - 1 < part, part <= whole)


lemmas["gain: nor does it where parts and sum are rounded up"] = Implies(
    And(up(A, i), up(B, j), up(C, k), k <= i + j), C <= A + B
)
lemmas["gain: nor times a value"] = Implies(And(V >= 0, C <= A + B), V * C <= V * A + V * B)
# And rounded up it is, once as 1 less a root and once as a share of the value: G = ⌈v · ⌈2**96 · (1 − ρ)⌉ / 2**96⌉.
lemmas["gain: the root of the quotient is that of the fraction, rounded down"] = Implies(
    And(quotient(Q, N, S), root(A, Q)), And(A * A * S <= N, N < (A + 1) * (A + 1) * S)
)
lemmas["gain: 1 less a root is rounded up"] = Implies(And(d >= A, d < A + 1), up(ONE - A, ONE - d))
lemmas["gain: a value less a share is rounded up"] = Implies(
    share, And((V - P - 1) * ONE < V * (ONE - A), V * (ONE - A) <= (V - P) * ONE)
)


def proven(lemma) -> bool:
    if isinstance(lemma, bool):
        return lemma
    solver = Solver()
    solver.set("timeout", 60_000)
    solver.add(Not(lemma))
    return solver.check() == unsat


def main() -> int:
    failed = 0
    for name, lemma in lemmas.items():
        start = time.monotonic()
        holds = proven(lemma)
        failed += not holds
        print(f"{'proven' if holds else 'NOT PROVEN'}  z3  {time.monotonic() - start:6.2f} s  {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
