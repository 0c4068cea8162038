"""Proofs by z3, for numbers of any size, of the bounds of Draw.payoutAndRange.

halmos proves the same of the compiled code, for small numbers only: products and quotients of free 256-bit words are too
hard for halmos. This file has the code a second time, over the integers; the products fit 256 bits, so nothing can wrap.
"""
from z3 import And, If, Implies, Ints, Not, Solver, unsat

total, more, allowance, amount, least = Ints("total more allowance amount minPayout")


def quotient(name, numerator, denominator):
    """floor(numerator / denominator), and the facts that define it."""
    result, rest = Ints(f"{name} {name}Rest")
    return result, And(numerator == result * denominator + rest, 0 <= rest, rest < denominator)


def payout_and_range(spent, name):
    """Payout and range of a payee that was paid `spent`, and the facts that define them."""
    full, full_is = quotient(f"{name}Full", spent * amount, allowance)
    narrow, narrow_is = quotient(f"{name}Narrow", spent * amount, least)
    fixed = full < least
    facts = And(full_is, Implies(fixed, narrow_is))
    return If(fixed, least, full), If(fixed, narrow, allowance), facts


payout, width, is_payout = payout_and_range(total, "payout")
greater, wider, is_greater = payout_and_range(more, "greater")
GOOD = And(0 < total, total <= allowance, allowance <= amount, 0 <= least, least <= amount)
MORE = And(total <= more, more <= allowance, is_greater)
CLAIMS = {
    "0 < payout <= amount": Implies(GOOD, And(0 < payout, payout <= amount)),
    "payout >= minPayout": Implies(GOOD, payout >= least),
    "range <= allowance": Implies(GOOD, And(0 <= width, width <= allowance)),
    "payout * range <= total * amount": Implies(GOOD, payout * width <= total * amount),
    "more spent, no smaller payout": Implies(And(GOOD, MORE), payout <= greater),
    "more spent, no smaller range": Implies(And(GOOD, MORE), width <= wider),
}


def cases():
    """Either payout is minPayout or not: each case alone is easy for the solver."""
    full, greater_full = Ints("payoutFull greaterFull")
    return [
        And(one, other)
        for one in (full < least, full >= least)
        for other in (greater_full < least, greater_full >= least)
    ]


for claim, formula in CLAIMS.items():
    for case in cases():
        solver = Solver()
        solver.set("timeout", 60_000)
        solver.add(is_payout, case, Not(formula))
        if solver.check() != unsat:
            raise SystemExit(f"not proven: {claim}")
    print(f"proven: {claim}")
