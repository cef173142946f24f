"""Tables and plots of what an evaluation brought."""

from __future__ import annotations

import csv
import math
from dataclasses import fields
from itertools import pairwise

import numpy as np

from DiffUSLib.evaluation.protocol import BINS_MM, Experiment, Outcome
from DiffUSLib.io.extras import optional
from DiffUSLib.simulator.cases import nothing_to_find

_WRONG_MM, _RIGHT_MM = 3.0, 2.0
_CAPTURED = 0.95
_PLOTTED_MM = 8.0


def summary(outcomes: list[Outcome]) -> dict:
    """One row of the table, of the outcomes of one experiment."""
    first = outcomes[0]
    final = np.array([outcome.final_mm for outcome in outcomes])
    verdicts = np.array([outcome.verdict for outcome in outcomes])
    is_empty = nothing_to_find(first.tier)

    def median(name: str) -> float:
        return float(np.median([getattr(outcome, name) for outcome in outcomes]))

    row = {field.name: getattr(first, field.name) for field in fields(Experiment)}
    row |= {
        "n": len(final),
        "initial_mm": np.mean([outcome.initial_mm for outcome in outcomes]),
        "median_mm": np.median(final),
        "p95_mm": np.quantile(final, 0.95),
        "below_2mm": (final < _RIGHT_MM).mean(),
        "below_1mm": (final < 1).mean(),
        "median_deg": median("rotation_error_deg"),
        "median_off_plane_mm": median("final_off_plane_mm"),
        "median_lateral_mm": median("final_lateral_mm"),
        "median_depth_mm": median("final_depth_mm"),
        "median_elevation_mm": median("final_elevation_mm"),
        "seconds": median("seconds"),
        "capture_range_mm": capture_range_mm(outcomes) if first.binned else "",
    }
    if first.method == "diffus":
        accepted = verdicts == "accept"
        row |= {name: (verdicts == name).mean() for name in ("accept", "check", "reject")}
        row["accepted_but_wrong"] = (accepted & ((final > _WRONG_MM) | is_empty)).mean()
        right = (final < _RIGHT_MM) & (not is_empty)
        row["right_ones_accepted"] = accepted[right].mean() if right.any() else math.nan
    return row


def bins(outcomes: list[Outcome]) -> list[dict]:
    """Share below 2 mm by initial error, for each experiment."""
    names = [field.name for field in fields(Experiment)]
    rows = []
    groups: dict[tuple, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(tuple(getattr(outcome, name) for name in names), []).append(outcome)
    for key, group in groups.items():
        for (low, high), final in _binned(group):
            row = dict(zip(names, key, strict=True)) | {"from_mm": low, "to_mm": high, "n": len(final)}
            rows.append(row | {"below_2mm": (final < _RIGHT_MM).mean(), "median_mm": np.median(final)})
    return rows


def capture_range_mm(outcomes: list[Outcome]) -> int:
    """Upper end of the largest bin of initial errors of which, and of all below, at least 95 % end below 2 mm."""
    reached = 0
    for (low, high), final in _binned(outcomes):
        if low != reached or (final < _RIGHT_MM).mean() < _CAPTURED:
            break
        reached = high
    return reached


def _binned(outcomes: list[Outcome]):
    """((low, high), final errors) of each bin that has any."""
    for low, high in pairwise(BINS_MM):
        final = np.array([outcome.final_mm for outcome in outcomes if low <= outcome.initial_mm < high])
        if len(final):
            yield (low, high), final


def markdown(rows: list[dict]) -> str:
    """The table for people."""
    lines = [
        "| tier | slices | start within | method | n | start mm | median mm | P95 mm | < 2 mm | < 1 mm | median deg "
        "| s | capture range mm | accept / check / reject | accepted but wrong | right ones accepted |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        judged = "accept" in row
        verdicts = " / ".join(f"{row[name]:.0%}" for name in ("accept", "check", "reject")) if judged else ""
        wrong = f"{row['accepted_but_wrong']:.1%}" if judged else ""
        right = f"{row['right_ones_accepted']:.0%}" if judged and math.isfinite(row["right_ones_accepted"]) else ""
        start = f"{row['translation_mm']:g} mm / {row['rotation_deg']:g} deg" + (", binned" if row["binned"] else "")
        start = "as in ReMIND" if row["remind"] else start
        lines.append(
            f"| {row['tier']} | {row['slices']} | {start} | {_method(row)} | {row['n']} | {row['initial_mm']:.1f} "
            f"| {row['median_mm']:.2f} | {row['p95_mm']:.2f} | {row['below_2mm']:.0%} | {row['below_1mm']:.0%} "
            f"| {row['median_deg']:.2f} | {row['seconds']:.1f} | {row['capture_range_mm']} | {verdicts} | {wrong} "
            f"| {right} |"
        )
    return "\n".join(lines) + "\n"


def _method(row: dict) -> str:
    if row["method"] != "diffus":
        return row["method"].replace("_", " ")
    rigid = ", rigid only" if row["degrees_of_freedom"] == "rigid" else ""
    prior = f", prior {row['prior_mm']:g} mm / {row['prior_deg']:g} deg" if row["prior_mm"] else ""
    return f"DiffUS {row['preset']}{rigid}{prior}"


def write_csv(path, rows: list[dict]) -> None:
    """Rows with the same or fewer columns than the first."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def plot(path, outcomes: list[Outcome]) -> None:
    """Cumulated errors of each experiment as PNG."""
    figure = optional("matplotlib.figure", "pictures").Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    groups: dict[str, list[float]] = {}
    for outcome in outcomes:
        many = "slice" if outcome.slices == 1 else "slices"
        name = f"{outcome.tier}, {outcome.slices} {many}, {outcome.translation_mm:g} mm, {outcome.method}"
        groups.setdefault(name.replace("_", " "), []).append(outcome.final_mm)
    for name, errors in groups.items():
        edges = [0.0, *sorted(errors), max(_PLOTTED_MM, *errors)]
        axis.step(edges, [*np.linspace(0, 1, len(errors) + 1), 1.0], where="post", label=name)
    axis.set(xlim=(0, _PLOTTED_MM), ylim=(0, 1.01))
    axis.set(xlabel="target registration error (mm)", ylabel="share of the cases")
    axis.legend(fontsize="small", loc="lower right")
    axis.grid(alpha=0.3)
    figure.savefig(path, format="png", dpi=110)
