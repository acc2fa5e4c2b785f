"""Solves an inventory of the ledger twice, and compares both with what the ledger booked.

First exactly, in fractions: how much the ledger's whole units lose by rounding. Then with Brightway's
bw2calc, as a technosphere and a biosphere matrix in floating point. Both must agree with the ledger, lot by
lot and category by category, to a relative difference of 1e-12. Where the ledger has nothing at all, the
fractions must have nothing either; a solver in floating point leaves a residue, which is held against the largest
figure of that category.
"""

import argparse
import json
import sys
import warnings
from fractions import Fraction

import numpy as np

with warnings.catch_warnings():
    # It recommends a faster solver; this one is fast enough.
    warnings.simplefilter("ignore")
    import bw2calc
import bw_processing

TOLERANCE = 1e-12


def exact(inventory):
    """What each lot carries: by substitution, in fractions, from the first lot to the last."""
    factors = [[int(value) for value in factor] for factor in inventory["factors"]]
    solved, made = [], []
    for process in inventory["processes"]:
        total = [Fraction(0)] * len(inventory["categories"])
        for lot, over, under in process["lots"]:
            share = Fraction(int(over), int(under) * made[lot])
            total = [sum_ + share * value for sum_, value in zip(total, solved[lot])]
        for factor, over, under in process["factors"]:
            amount = Fraction(int(over), int(under))
            total = [sum_ + amount * value for sum_, value in zip(total, factors[factor])]
        for category, over, under in process["flows"]:
            total[category] += Fraction(int(over), int(under))
        solved.append(total)
        made.append(int(process["makes"]))
    return solved


def matrices(inventory):
    """The inventory as bw2calc wants it: one process per lot and per factor, each for one unit.

    Per unit, and not per lot: the solver's pivots would be lost among amounts of 1 and of 10^18.
    """
    processes, factors = inventory["processes"], inventory["factors"]
    categories = range(len(inventory["categories"]))
    flow = lambda category: 1_000_000 + category
    factor_product = lambda factor: 100_000 + factor
    technosphere, biosphere = [], []
    for lot, process in enumerate(processes):
        technosphere.append((lot, lot, 1, False))
        per_unit = lambda over, under: Fraction(int(over), int(under) * int(process["makes"]))
        for taken, over, under in process["lots"]:
            technosphere.append((taken, lot, per_unit(over, under), True))
        used = {}
        for factor, over, under in process["factors"]:
            used[factor] = used.get(factor, 0) + per_unit(over, under)
        for factor, amount in used.items():
            technosphere.append((factor_product(factor), lot, amount, True))
        given = {}
        for category, over, under in process["flows"]:
            given[category] = given.get(category, 0) + per_unit(over, under)
        biosphere.extend((flow(category), lot, amount, False) for category, amount in given.items())
    for factor, values in enumerate(factors):
        product = factor_product(factor)
        technosphere.append((product, product, 1, False))
        biosphere.extend((flow(at), product, int(values[at]), False) for at in categories)
    # Each flow is a category: characterised by one.
    characterisation = [(flow(at), flow(at), 1, False) for at in categories]
    package = bw_processing.create_datapackage()
    for name, entries in [
        ("technosphere_matrix", technosphere),
        ("biosphere_matrix", biosphere),
        ("characterization_matrix", characterisation),
    ]:
        package.add_persistent_vector(
            matrix=name,
            name=name,
            indices_array=np.array(
                [(row, column) for row, column, _, _ in entries], dtype=bw_processing.INDICES_DTYPE
            ),
            data_array=np.array([float(amount) for _, _, amount, _ in entries]),
            flip_array=np.array([flip for _, _, _, flip in entries]),
        )
    return package, [flow(at) for at in categories]


def calculated(inventory):
    """What bw2calc finds for each whole lot, by category."""
    package, flows = matrices(inventory)
    amounts = [float(process["makes"]) for process in inventory["processes"]]
    lca = bw2calc.LCA({0: amounts[0]}, data_objs=[package])
    lca.lci(factorize=True)
    lca.lcia()
    rows = [lca.dicts.biosphere[flow] for flow in flows]
    for lot, amount in enumerate(amounts):
        lca.lci(demand={lot: amount})
        lca.lcia_calculation()
        scores = np.asarray(lca.characterized_inventory.sum(axis=1)).ravel()
        yield [scores[row] for row in rows]


def largest(inventory, solved, what, name):
    """The largest relative difference; complains where it is too large."""
    worst, wrong, nothing = (0.0, 0, ""), 0, 0
    booked = [[int(value) for value in process["booked"]] for process in inventory["processes"]]
    most = [max(map(abs, column)) for column in zip(*booked)]
    for lot, (row, values) in enumerate(zip(booked, solved)):
        for at, category in enumerate(inventory["categories"]):
            # The difference in fractions: it is not to be the rounding of a subtraction.
            difference = abs(row[at] - Fraction(values[at]))
            nothing += row[at] == 0
            relative = float(difference / (abs(row[at]) or most[at] or 1))
            worst = max(worst, (relative, lot, category))
            if relative > TOLERANCE:
                wrong += 1
                found = float(values[at])
                print(f"{name}: lot {lot}, {category}: booked {row[at]}, {what} {found}")
    relative, lot, category = worst
    print(
        f"{name}: ledger against {what}: {len(booked) * len(most)} figures ({nothing} of them 0), "
        f"{wrong} beyond {TOLERANCE:g}; largest relative difference {relative:.1e} "
        f"(lot {lot}, {category})"
    )
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inventory")
    parser.add_argument("--name", default="inventory")
    arguments = parser.parse_args()
    with open(arguments.inventory, encoding="utf-8") as file:
        inventory = json.load(file)
    wrong = largest(inventory, exact(inventory), "fractions", arguments.name)
    solver = f"bw2calc {bw2calc.__version__}"
    wrong += largest(inventory, calculated(inventory), solver, arguments.name)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
