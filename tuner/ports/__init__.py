"""The protocols that plugins implement. Small on purpose; nothing here knows a board or a method.

A plugin is a class named in an entry-point group (`tuner.devices`, ...). Devices, workloads and
strategies are opened from a specification ``name[:argument]``, such as ``emulated:jetson-tx2``.
"""

from tuner.environment import Environment
from tuner.objective import Metric
from tuner.ports.device import BoardSide, ControlledElsewhere, Device, DevicePlugin, OpenContext, PowerMode, Sensors
from tuner.ports.exporter import EntryImporter, Exporter, FileEdit, FileEntry, IntoExporter, ModeDescriber
from tuner.ports.guard import Guard, Guarded, GuardVerdict, Settling
from tuner.ports.meter import ClosableMeter, RefusedMeter, ScopedMeter, SelectableMeter
from tuner.ports.option import (
    Actuator,
    AppliedValues,
    Control,
    OnBoard,
    Probe,
    ReadsTogether,
    Restored,
    Supported,
    Translates,
    Unsupported,
    Watchful,
)
from tuner.ports.strategy import (
    Belief,
    Believing,
    ModellingStrategy,
    SourceData,
    Strategy,
    StrategyContext,
    TargetModel,
)
from tuner.ports.timing import Clock, NeverStop, RealClock, StopToken
from tuner.ports.workload import (
    Elsewhere,
    EnergyReading,
    PowerMeter,
    PowerTrace,
    Reading,
    Recorded,
    Workload,
    WorkloadPlugin,
    WorkloadPluginElsewhere,
    WorkloadRun,
)

__all__ = [
    "Actuator",
    "AppliedValues",
    "Belief",
    "Believing",
    "BoardSide",
    "Clock",
    "ClosableMeter",
    "Control",
    "ControlledElsewhere",
    "Device",
    "DevicePlugin",
    "Elsewhere",
    "EnergyReading",
    "EntryImporter",
    "Environment",
    "Exporter",
    "FileEdit",
    "FileEntry",
    "Guard",
    "GuardVerdict",
    "Guarded",
    "IntoExporter",
    "Metric",
    "ModeDescriber",
    "ModellingStrategy",
    "NeverStop",
    "OnBoard",
    "OpenContext",
    "PowerMeter",
    "PowerMode",
    "PowerTrace",
    "Probe",
    "Reading",
    "ReadsTogether",
    "RealClock",
    "Recorded",
    "RefusedMeter",
    "Restored",
    "ScopedMeter",
    "SelectableMeter",
    "Sensors",
    "Settling",
    "SourceData",
    "StopToken",
    "Strategy",
    "StrategyContext",
    "Supported",
    "TargetModel",
    "Translates",
    "Unsupported",
    "Watchful",
    "Workload",
    "WorkloadPlugin",
    "WorkloadPluginElsewhere",
    "WorkloadRun",
]
