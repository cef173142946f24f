"""The tissue table: density, speed of sound, attenuation and echogenicity of each tissue, with the source."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from DiffUSLib.errors import DiffUSError


@dataclass(frozen=True)
class Tissue:
    """Acoustic properties of one tissue.

    Args:
        name: the name in the tissue table.
        density_kg_m3: mass density in kg/m3.
        sound_speed_m_s: speed of sound in m/s.
        attenuation_db_cm_mhz: one-way attenuation in dB/cm/MHz.
        echogenicity: backscatter amplitude relative to white matter = 1; 0 is anechoic.
        source: where the values come from ("typical" and "assumption" mark what no publication gives).
    """

    name: str
    density_kg_m3: float
    sound_speed_m_s: float
    attenuation_db_cm_mhz: float
    echogenicity: float
    source: str = ""

    def __post_init__(self):
        if not (0 < self.density_kg_m3 < 1e5 and 0 < self.sound_speed_m_s < 1e5):
            raise DiffUSError(f"tissue {self.name} needs a density in kg/m3 and a speed of sound in m/s above zero.")
        if not (0 <= self.attenuation_db_cm_mhz < 1e4 and 0 <= self.echogenicity < 1e4):
            raise DiffUSError(f"tissue {self.name} needs an attenuation and an echogenicity of at least zero.")

    @property
    def impedance_mrayl(self) -> float:
        """Acoustic impedance Z = density x speed of sound in MRayl."""
        return self.density_kg_m3 * self.sound_speed_m_s * 1e-6


def tissue(name: str) -> Tissue:
    """Look a tissue up by its name or one of its aliases; case, underscores and the side are ignored.

    Raises:
        DiffUSError: if the table has no such tissue; the message names the closest ones.
    """
    table, names = _read_table()
    key = _normalized(name)
    if key in names:
        return table[names[key]]
    without_side = re.sub(r"\b(left|right|l|r|lh|rh)\b", " ", key)
    without_side = " ".join(without_side.split())
    if without_side in names:
        return table[names[without_side]]
    close = get_close_matches(without_side, names, n=4, cutoff=0.6)
    hint = f"did you mean {', '.join(close)}?" if close else f"known are {', '.join(table)}."
    raise DiffUSError(f"there is no tissue named '{name}'; {hint}")


def tissue_names() -> tuple[str, ...]:
    """The names in the tissue table, without the aliases."""
    return tuple(_read_table()[0])


def _normalized(name: str) -> str:
    return " ".join(re.sub(r"[_\-.,/]+", " ", str(name)).lower().split())


@cache
def _read_table() -> tuple[dict[str, Tissue], dict[str, str]]:
    """The table by name, and the name that belongs to every normalized name or alias."""
    table, names = {}, {}
    with (files("DiffUSLib") / "data" / "tissues.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            name = row["name"]
            table[name] = Tissue(
                name,
                float(row["density_kg_m3"]),
                float(row["sound_speed_m_s"]),
                float(row["attenuation_db_cm_mhz"]),
                float(row["echogenicity"]),
                row["source"],
            )
            for alias in (name, *row["aliases"].split(";")):
                if alias:
                    names[_normalized(alias)] = name
    return table, names
