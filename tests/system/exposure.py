"""How exposed each unit may be (``systemd-analyze security``: 0 is closed, 10 open): what it was, never more."""

EXPOSURE = {
    "tuner.service": 0.6,
    "tuner-actuator.service": 0.9,
    "tuner-workload@.service": 0.8,
    "tuner-restore.service": 1.2,
    "tuner-apply@.service": 1.2,
}
