"""Fits the verdict's model to cases whose truth is known, and shows how reliable it is on others.

    python -m DiffUSLib.evaluation.verdict_calibration                    the committed table: fit, and measure
    python -m DiffUSLib.evaluation.verdict_calibration cases.csv ...      first take in new `diffus evaluate` tables

The model that is shipped is fitted to all cases; what is told of its reliability comes from models that were fitted
without the patient they judge. Writes data/verdict_cases.csv, data/verdict.json and, into the working folder,
reliability.png and reliability.md.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import written_whole
from DiffUSLib.registration.verdict import FEATURES, RIGHT_MM, Figures, VerdictModel, feature_values
from DiffUSLib.simulator.cases import nothing_to_find

_DATA = Path(__file__).parents[1] / "data"
_TABLE, _MODEL = _DATA / "verdict_cases.csv", _DATA / "verdict.json"
_COLUMNS = ("tier", "slices", "patient", "pose_seed", "initial_mm", "final_mm", "contrast", "gain", "margin",
            "uncertainty_mm", "coverage", "halves_mm", "prior_sigmas")  # fmt: skip
_ERROR_FEATURES = ("certainty", "agreement")
_LEAST_ACCEPTED = 0.9
_NO_RIVAL = 99.0
_PARTS = {
    "heads": lambda row: row["tier"][0] == "T",
    "bodies": lambda row: row["tier"][0] == "B",
    "split sweeps": lambda row: row["tier"][0] == "S",
    "1 slice": lambda row: row["slices"] == 1,
    "3 slices": lambda row: row["slices"] == 3,
    "7 slices": lambda row: row["slices"] == 7,
}
_BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


def fit(
    rows: list[dict[str, float]], errors_mm: np.ndarray, nothing_to_find: np.ndarray, exact: np.ndarray
) -> VerdictModel:
    """Fits the model to cases.

    Args:
        rows: N dictionaries of `feature_values`.
        errors_mm: (N,) mean target errors.
        nothing_to_find: (N,) bool: another anatomy, where nothing is right.
        exact: (N,) bool: the error counts for the expected error, too.
    """
    names = list(FEATURES)
    matrix = np.array([[row[name] for name in names] for row in rows])
    middle, spread = matrix.mean(0), matrix.std(0) + 1e-6
    right = (errors_mm < RIGHT_MM) & ~nothing_to_find

    def loss(parameters: np.ndarray) -> float:
        odds = (matrix - middle) / spread @ parameters[1:] + parameters[0]
        return float(np.logaddexp(0, np.where(right, -odds, odds)).sum() + 0.5 * np.square(parameters[1:]).sum())

    bounds = [(None, None)] + [(0.0, None)] * len(names)
    found = minimize(loss, np.r_[0.0, np.ones(len(names))], bounds=bounds).x
    weights = found[1:] / spread
    intercept = float(found[0] - weights @ middle)
    odds = matrix @ weights + intercept
    accept, reject = _thresholds(1 / (1 + np.exp(-odds)), errors_mm, nothing_to_find)
    columns = [names.index(name) for name in _ERROR_FEATURES]
    told = right & exact
    design = np.c_[np.ones(told.sum()), matrix[told][:, columns]]
    level = np.log(np.maximum(errors_mm[told], 0.05))
    slopes = np.linalg.lstsq(design, level, rcond=None)[0]
    residual = level - design @ slopes
    return VerdictModel(
        weights=dict(zip(names, weights.tolist(), strict=True)),
        intercept=intercept,
        typical=dict(zip(names, np.median(matrix[right], axis=0).tolist(), strict=True)),
        accept=accept,
        reject=reject,
        error_weights=dict(zip(_ERROR_FEATURES, slopes[1:].tolist(), strict=True)),
        error_intercept=float(slopes[0] + np.median(residual)),
        error_spread=float(np.exp(np.quantile(residual, 0.9) - np.median(residual))),
    )


def _thresholds(confidence: np.ndarray, errors_mm: np.ndarray, nothing_to_find: np.ndarray) -> tuple[float, float]:
    """Accept: the lowest probability, not below 90 %, above which at most 0.5 % are wrong; reject: below it lie 2 % of
    the right ones."""
    wrong = (errors_mm >= RIGHT_MM) | nothing_to_find
    order = np.argsort(-confidence)
    share = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    enough = np.nonzero(share <= 0.005)[0]
    accept = max(_LEAST_ACCEPTED, float(confidence[order][enough[-1]]) if len(enough) else 1.0)
    reject = float(np.quantile(confidence[~wrong], 0.02))
    return accept, min(reject, accept)


def take_in(tables: list[Path]) -> list[dict]:
    """The columns of interest of tables of cases, numbers as numbers."""
    rows = []
    for table in tables:
        with table.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                kept: dict = {name: row[name] for name in _COLUMNS}
                for name in _COLUMNS:
                    if name not in ("tier", "patient"):
                        kept[name] = float(kept[name])
                kept["margin"] = min(kept["margin"], _NO_RIVAL)
                rows.append(kept)
    return rows


def features_of_row(row: dict) -> dict[str, float]:
    """Features of a case of the table."""
    return feature_values(Figures(**{name: row[name] for name in Figures._fields}))


def truth(rows: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) errors in mm; (N,) bool: another anatomy than the one seen, or none; (N,) bool: the truth is known exactly,
    and not only to the distance of a sweep's frames."""
    errors, tiers = np.array([row["final_mm"] for row in rows]), [row["tier"] for row in rows]
    return errors, np.array([nothing_to_find(tier) for tier in tiers]), np.array([tier[0] != "S" for tier in tiers])


@dataclass(frozen=True)
class Prediction:
    """What a model that never saw this patient says of a case, and the truth."""

    row: dict
    confidence: float
    accepted: bool
    rejected: bool
    median_mm: float
    percentile_90_mm: float

    @property
    def right(self) -> bool:
        """Below 3 mm, and the anatomy was the one that was seen."""
        return self.row["final_mm"] < RIGHT_MM and not nothing_to_find(self.row["tier"])


def held_out(rows: list[dict]) -> list[Prediction]:
    """Each case as predicted by a model that was fitted to all other patients."""
    predictions = []
    for patient in sorted({row["patient"] for row in rows}):
        others = [row for row in rows if row["patient"] != patient]
        model = fit([features_of_row(row) for row in others], *truth(others))
        for row in rows:
            if row["patient"] == patient:
                values = features_of_row(row)
                confidence, (median, most) = model.confidence(values), model.expected_error_mm(values)
                accepted, rejected = confidence >= model.accept, confidence < model.reject
                predictions.append(Prediction(row, confidence, accepted, rejected, median, most))
    return predictions


def reliability(predictions: list[Prediction]) -> dict[str, float]:
    """Expected calibration error, coverage of the predicted errors, and what is accepted."""
    confidence = np.array([p.confidence for p in predictions])
    right = np.array([p.right for p in predictions])
    exact = right & np.array([p.row["tier"][0] != "S" for p in predictions])
    accepted = np.array([p.accepted for p in predictions])
    rejected = np.array([p.rejected for p in predictions])
    errors = np.array([p.row["final_mm"] for p in predictions])
    below2 = right & (errors < 2.0)
    gaps = [abs(confidence[i].mean() - right[i].mean()) * i.mean() for i in _inside_bins(confidence) if i.any()]

    def share(mask: np.ndarray, among: np.ndarray) -> float:
        return float(mask[among].mean()) if among.any() else math.nan

    return {
        "n": len(predictions),
        "right": int(right.sum()),
        "expected_calibration_error": float(sum(gaps)),
        "accepted": float(accepted.mean()),
        "accepted_but_wrong": float((accepted & ~right).mean()),
        "right_ones_accepted": share(accepted, below2),
        "right_ones_rejected": share(rejected, below2),
        "wrong_ones_rejected": share(rejected, ~right),
        "errors_below_predicted_median": share(errors <= np.array([p.median_mm for p in predictions]), exact),
        "errors_below_predicted_90": share(errors <= np.array([p.percentile_90_mm for p in predictions]), exact),
    }


def _inside_bins(confidence: np.ndarray) -> list[np.ndarray]:
    return [(confidence >= low) & (confidence < high + (high == 1)) for low, high in pairwise(_BINS)]


def markdown(parts: dict[str, dict[str, float]]) -> str:
    """A table of `reliability` for each part."""
    names = list(next(iter(parts.values())))
    lines = ["| cases | " + " | ".join(name.replace("_", " ") for name in names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for part, row in parts.items():
        cells = [f"{row[name]:.0f}" if name in ("n", "right") else f"{row[name]:.3f}" for name in names]
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(path: Path, predictions: list[Prediction]) -> None:
    """Confidence against the share that is right, and predicted against actual errors, as PNG."""
    figure = optional("matplotlib.figure", "pictures").Figure(figsize=(10, 4.6), layout="constrained")
    first, second = figure.subplots(1, 2)
    confidence = np.array([p.confidence for p in predictions])
    right = np.array([p.right for p in predictions])
    errors = np.array([p.row["final_mm"] for p in predictions])
    median = np.array([p.median_mm for p in predictions])
    exact = right & np.array([p.row["tier"][0] != "S" for p in predictions])
    first.plot([0, 1], [0, 1], color="gray", lw=1)
    for inside in _inside_bins(confidence):
        if inside.any():
            x, y = confidence[inside].mean(), right[inside].mean()
            first.plot(x, y, "o", color="C0", ms=4 + 1.2 * inside.sum() ** 0.5)
            first.annotate(f"{inside.sum()}", (x + 0.03, y - 0.03))
    first.set(xlabel="confidence", ylabel=f"share below {RIGHT_MM:g} mm", title="patients not fitted (and how many)")
    second.loglog(median[exact], errors[exact], ".", label="right cases")
    line = np.geomspace(0.2, 5, 9)
    spread = float(np.median([p.percentile_90_mm / p.median_mm for p in predictions]))
    second.loglog(line, line, color="gray", lw=1, label="predicted median")
    second.loglog(line, line * spread, color="gray", lw=1, ls="--", label="predicted 90 %")
    second.set(xlabel="predicted median error (mm)", ylabel="error (mm)")
    second.legend()
    figure.savefig(path, format="png", dpi=100)


def write(rows: list[dict], model: VerdictModel) -> None:
    """The table of cases and the model, where the library finds them."""
    with written_whole(_TABLE) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: f"{x:.4g}" if isinstance(x, float) else x for name, x in row.items()})
    with written_whole(_MODEL) as temporary:
        about = "fitted by DiffUSLib/evaluation/verdict_calibration.py to data/verdict_cases.csv"
        text = json.dumps({"source": about, "fitted_cases": len(rows), "model": asdict(model)}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")


def main(tables: list[Path]) -> None:
    """Fits, measures and writes."""
    rows = take_in([*([_TABLE] if _TABLE.is_file() else []), *tables])
    unique = {
        (row["tier"], row["slices"], row["patient"], row["pose_seed"], f"{row['initial_mm']:.2f}"): row for row in rows
    }
    rows = sorted(unique.values(), key=lambda row: (row["tier"], row["patient"], row["slices"], row["pose_seed"]))
    write(rows, fit([features_of_row(row) for row in rows], *truth(rows)))
    predictions = held_out(rows)
    parts = {"all": reliability(predictions)}
    for name, keep in _PARTS.items():
        some = [prediction for prediction in predictions if keep(prediction.row)]
        if some:
            parts[name] = reliability(some)
    with written_whole("reliability.md") as temporary:
        temporary.write_text(markdown(parts), encoding="utf-8")
    with written_whole("reliability.png") as temporary:
        plot(temporary, predictions)
    print(markdown(parts), end="")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
