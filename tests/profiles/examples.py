"""Profiles that the tests of profiles, exporters and their commands share."""

from __future__ import annotations

from tuner.profiles import Profile, ProfileMetric, ProfileOption


def tx2_profile(**changes: object) -> Profile:
    """A profile of the TX2's board file, with `changes` of fields."""
    values: dict[str, object] = {
        "name": "tx2-study",
        "board": "jetson-tx2",
        "device": "emulated:jetson-tx2",
        "options": {
            "cpu_cores_online": ProfileOption(2),
            "cpu_freq_khz": ProfileOption(1_267_200, "kHz"),
            "gpu_freq_hz": ProfileOption(854_250_000, "Hz"),
            "emc_freq_hz": ProfileOption(1_331_200_000, "Hz"),
        },
        "objective": "energy",
        "metrics": {
            "energy_j": ProfileMetric(value=1.5, unit="J", ci_low=1.4, ci_high=1.6),
            "latency_s": ProfileMetric(value=0.11, unit="s"),
        },
        "baseline": {"cpu_cores_online": 4},
        "baseline_value": 2.5,
        "saving_percent": 40.0,
        "saving_ci_percent": (38.5, 41.5),
        "study": "tx2-study",
        "created": "2026-01-02T03:04:05+00:00",
        "emulated": True,
        "tuner_version": "0.1.0",
        **changes,
    }
    return Profile(**values)  # type: ignore[arg-type]


def host_profile(options: dict[str, ProfileOption], **changes: object) -> Profile:
    """A profile of a machine without a board file."""
    return tx2_profile(board="some-machine", device="host", emulated=False, options=options, **changes)
