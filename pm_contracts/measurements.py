"""The measurements of each device type: names, units and the range that a sensor can report.

A measurement may be missing (`None`, JSON `null`); a number outside its range is refused, since no sensor of the kind
can have read it. The names of the air-quality measurements are the columns of the UCI "Beijing PM2.5 Data" set in the
form that the original sample used; those of the machine are the columns of the UCI "APS Failure at Scania Trucks"
set: 100 counters and 7 histograms of 10 bins.
"""

from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

AIR_QUALITY = "air_quality"
MACHINE = "machine"


class AirQualityMeasurements(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One hour of air quality and weather at a station."""

    pollution: (
        Annotated[float, Meta(ge=0, le=2000, description="PM2.5 concentration, ug/m3; 0 marks a filled gap")] | None
    )
    dew: Annotated[float, Meta(ge=-80, le=60, description="dew point, degrees Celsius")] | None
    temp: Annotated[float, Meta(ge=-80, le=70, description="temperature, degrees Celsius")] | None
    press: Annotated[float, Meta(ge=800, le=1100, description="air pressure, hPa")] | None
    wnd_dir: Annotated[float, Meta(ge=0, le=3, description="wind direction code, 0 to 3: a code, not an angle")] | None
    wnd_spd: (
        Annotated[
            float,
            Meta(ge=0, le=2000, description="wind run, m/s summed over the hours that the wind held its direction"),
        ]
        | None
    )
    snow: Annotated[float, Meta(ge=0, le=1000, description="hours of snow so far")] | None
    rain: Annotated[float, Meta(ge=0, le=1000, description="hours of rain so far")] | None


AIR_QUALITY_MEASUREMENTS: tuple[str, ...] = AirQualityMeasurements.__struct_fields__

HISTOGRAMS: tuple[str, ...] = ("ag", "ay", "az", "ba", "cn", "cs", "ee")
HISTOGRAM_BINS = 10

# The data set's columns without their suffix; a star marks a histogram.
_STEMS = (
    "aa ab ac ad ae af ag* ah ai aj ak al am an ao ap aq ar as at au av ax ay* az* ba* bb bc bd be bf bg "
    "bh bi bj bk bl bm bn bo bp bq br bs bt bu bv bx by bz ca cb cc cd ce cf cg ch ci cj ck cl cm cn* co "
    "cp cq cr cs* ct cu cv cx cy cz da db dc dd de df dg dh di dj dk dl dm dn do dp dq dr ds dt du dv dx "
    "dy dz ea eb ec ed ee* ef eg "
)


def _machine_names() -> tuple[str, ...]:
    names: list[str] = []
    for stem in _STEMS.split():
        if stem.endswith("*"):
            names += [f"{stem[:-1]}_{bin_:03d}" for bin_ in range(HISTOGRAM_BINS)]
        else:
            names.append("am_0" if stem == "am" else f"{stem}_000")  # the data set itself writes this one so
    return tuple(names)


#: The 170 measurements of a machine, in the order of the data set's columns and of every fault model's input.
MACHINE_MEASUREMENTS: tuple[str, ...] = _machine_names()

# Every count is positive; the largest in the data set is 8,584,297,742 (column cf_000), hence the head room.
_Count = Annotated[
    float, Meta(ge=0, le=1e12, description="anonymised counter or histogram bin of the air-pressure system")
]

#: One report of a machine. A measurement that the message leaves out is missing, as one that is null.
MachineMeasurements = msgspec.defstruct(
    "MachineMeasurements",
    [(name, _Count | None, None) for name in MACHINE_MEASUREMENTS],
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    module=__name__,
)


class Limits(NamedTuple):
    """The limits of a measurement."""

    lowest: float
    highest: float
    description: str  #: what it is, and in which unit

    def no_number(self, text: str) -> str:
        """The reason to refuse a text."""
        return f"{text!r} is no number{self._about}"

    def outside(self, text: str) -> str:
        """The reason to refuse a number that no sensor of the kind can have read."""
        return f"{text!r} is outside {self.lowest:g} to {self.highest:g}{self._about}"

    @property
    def _about(self) -> str:
        return f" ({self.description})" if self.description else ""


def limits_of(measurements: type[msgspec.Struct]) -> dict[str, Limits]:
    """The limits of each measurement of a type, in the type's order."""
    found = {}
    structure = msgspec.inspect.type_info(measurements)
    assert isinstance(structure, msgspec.inspect.StructType)  # noqa: S101 - a fact about our own types
    for field in structure.fields:
        described: Any = field.type
        choices = described.types if isinstance(described, msgspec.inspect.UnionType) else (described,)
        described = next(each for each in choices if not isinstance(each, msgspec.inspect.NoneType))
        schema: dict[str, Any] = {}
        if isinstance(described, msgspec.inspect.Metadata):
            schema, described = described.extra_json_schema or {}, described.type
        found[field.name] = Limits(described.ge, described.le, schema.get("description", ""))
    return found
