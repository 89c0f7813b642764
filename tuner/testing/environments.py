"""Synthetic spaces, environments and sources for contract tests. No board was measured for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tuner.objective import LATENCY, Metric
from tuner.ports import SourceData
from tuner.space import Condition, Configuration, ConfigurationSpace, Option, table_space

#: Metric of synthetic sources in another unit than seconds.
TICKS = Metric("latency_ticks", "latency", "ticks")
#: Rows of a source of a space too large to enumerate.
SOURCE_ROWS = 120


def spaces() -> dict[str, ConfigurationSpace]:
    """Return one space of each kind that a strategy must handle, by name."""
    clocks = (
        Option("cores", (1, 2, 4)),
        Option("cpu_freq_hz", (300_000, 600_000, 1_200_000, 2_000_000)),
        Option("gpu_freq_hz", (100_000, 400_000, 1_300_000)),
    )
    governor = Option("governor", ("performance", "powersave", "schedutil"), "categorical")
    threads = Option("threads", (1, 2, 4), condition=Condition("engine", ("parallel",)))
    engine = Option("engine", ("serial", "parallel"), "categorical", scope="workload")
    wide = tuple(Option(f"o{i}", (0, 1, 2, 4) if i < 3 else (0, 1)) for i in range(56))
    grid = ConfigurationSpace(clocks)
    return {
        "one option": ConfigurationSpace((Option("n", tuple(range(12))),)),
        "ordinal": grid,
        "single level": ConfigurationSpace((*clocks, Option("fixed", (7,)))),
        "constant only": ConfigurationSpace((Option("fixed", (7,)), Option("still", ("x",), "categorical"))),
        "categorical": ConfigurationSpace((governor, engine, clocks[0])),
        "conditional": ConfigurationSpace((engine, threads, clocks[1])),
        "a table with holes": table_space(clocks, list(grid.configurations())[::2]),
        "60 options": ConfigurationSpace((*clocks, governor, *wide)),
    }


def latency_s(configuration: Configuration, twist: float = 0.0) -> float:
    """Return a positive value that falls with ordinal numbers, has an interaction, and depends on every option.

    Args:
        configuration: Of any space of `spaces`.
        twist: Distance from the target environment: 0 is the target, 0.2 a related environment.
    """
    weight, total, previous = 1.0, 1.0, 0.0
    for name, value in configuration.items():
        number = len(value) / 4.0 if isinstance(value, str) else float(value)
        size = number / (1.0 + abs(number)) if abs(number) < 1_000 else number / 2.0e6
        weight = 0.5 + (sum(map(ord, name)) % 7) / 7.0 + twist
        total += weight * (1.0 - size) ** 2 + 0.3 * (1.0 - twist) * size * previous
        previous = size
    return total


def source(
    space: ConfigurationSpace,
    name: str = "source",
    *,
    metric: Metric = LATENCY,
    misleading: bool = False,
    also: Sequence[Option] = (),
) -> SourceData:
    """Return a related environment's measurements over `space`'s options.

    Args:
        space: The target's.
        name: The source's.
        metric: Its metric; values of another unit are of another scale.
        misleading: The ranks are reversed: what is good in the target is bad here.
        also: Options that only the source has; its rows take their levels in turn.
    """
    chosen = _some(space)
    scale = 1.0 if metric.unit == LATENCY.unit else 1_000.0
    values = [scale * latency_s(c, 0.2) for c in chosen]
    if misleading:
        values = [max(values) + min(values) - v for v in values]
    rows = [{**c, **{o.name: o.values[i % len(o.values)] for o in also}} for i, c in enumerate(chosen)]
    plain = tuple(replace(o, condition=None, aliases=()) for o in (*space.options, *also))
    return SourceData(name, plain, tuple(rows), {metric.name: tuple(values)}, (metric,))


def _some(space: ConfigurationSpace) -> list[Configuration]:
    """Return all configurations of a small space, else a Weyl sequence over the levels of a large one."""
    if space.rows is not None or space.size <= SOURCE_ROWS:
        return list(space.configurations())
    rows: list[Configuration] = []
    for k in range(SOURCE_ROWS):
        shares = [(k * (0.6180339887 + 0.1370 * i) + 0.07 * i) % 1.0 for i in range(len(space.options))]
        rows.append(space.from_indices([int(s * len(o.values)) for s, o in zip(shares, space.options, strict=True)]))
    return rows


def shared_by(space: ConfigurationSpace, count: int) -> ConfigurationSpace:
    """Return the space of the first `count` options: a source over it does not know the others."""
    return ConfigurationSpace(space.options[:count])
