"""Every command, once: with all that it needs, and the arguments that name a file left open."""

from __future__ import annotations

FILE, OUTPUT = "{file}", "{output}"
EMULATED = ("--device", "emulated:jetson-tx2", "--strategy", "random", "--budget", "1", "--max-repeats", "1")
BENCH = (
    "bench", "optimise", "--source", "none", "--strategies", "random", "--seeds", "1", "--jobs", "1",
    "--evaluations", "2",
)  # fmt: skip

#: Commands as they are used, in folders that may be anything.
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("start", "--plain", *EMULATED),
    ("start", "--json", *EMULATED),
    ("start", "--plain", "--device", "host", "--objective", "latency", "--budget", "1", "--workload", "command:true"),
    ("start", "--detach"),
    ("attach",),
    ("status",),
    ("status", "--json"),
    ("status", "none"),
    ("pause",),
    ("resume",),
    ("stop",),
    ("logs",),
    ("study", "list"),
    ("study", "show", "none"),
    ("study", "export", "none"),
    ("source", "list"),
    ("source", "show", "none"),
    ("source", "compare", "none", "other"),
    ("source", "learn", "none"),
    ("profile", "show", "p.toml"),
    ("profile", "show", "p.toml", "--json"),
    ("profile", "validate", "p.toml"),
    ("profile", "diff", "p.toml", "p.toml"),
    ("profile", "apply", "p.toml"),
    ("profile", "apply", "p.toml", "--dry-run"),
    ("profile", "apply", "p.toml", "--revert"),
    ("profile", "export", "p.toml", "--format", "json"),
    ("profile", "export", "p.toml", "--format", "json", "-o", "made.json"),
    ("profile", "enable", "p.toml"),
    ("profile", "disable", "none"),
    ("restore",),
    ("restore", "--device", "host"),
    ("restore", "--board", "unix:nowhere.sock"),
    ("doctor",),
    ("doctor", "--json"),
    ("list", "exporters"),
    ("config", "show"),
    ("config", "show", "--json"),
    (*BENCH, "--target", "t.csv"),
    ("daemon", "--socket", "nowhere/d.sock"),
    ("--help",),
    ("start", "--help"),
    ("--version",),
)  # fmt: skip

#: Commands that read a file that the user names.
READERS: tuple[tuple[str, ...], ...] = (
    ("start", "--plain", *EMULATED, "--source", FILE),
    ("start", "--plain", "--device", "replay:" + FILE, "--budget", "1"),
    ("start", "--plain", "--device", "jetson:" + FILE, "--budget", "1"),
    ("start", "--plain", "--device", "host", "--objective", "latency", "--budget", "1", "--workload", "onnx:" + FILE),
    ("start", "--plain", *EMULATED, "--storage", FILE),
    ("start", "--plain", "--sysroot", FILE, "--budget", "1", "--objective", "latency", "--workload", "command:true"),
    ("start", "--plain", "--socket", FILE, *EMULATED),
    ("study", "list", "--storage", FILE),
    ("study", "show", "none", "--storage", FILE),
    ("source", "learn", FILE, "-o", "made.source"),
    ("source", "show", FILE),
    ("source", "compare", FILE, FILE),
    ("profile", "show", FILE),
    ("profile", "validate", FILE),
    ("profile", "diff", "p.toml", FILE),
    ("profile", "apply", FILE),
    ("profile", "apply", "p.toml", "--sysroot", FILE),
    ("profile", "export", FILE, "--format", "json"),
    ("profile", "export", "p.toml", "--format", "nvpmodel", "--into", FILE),
    ("profile", "import", "--nvpmodel", FILE, "--mode", "1", "-o", "made.toml"),
    ("profile", "enable", FILE),
    ("doctor", "--sysroot", FILE),
    ("restore", "--sysroot", FILE),
    ("restore", "--board", "unix:" + FILE),
    ("status", "--socket", FILE),
    ("logs", "--socket", FILE),
    (*BENCH, "--target", FILE),
    ("bench", "model", "--source", FILE, "--target", "t.csv", "--strategies", "gs", "--seeds", "1", "--jobs", "1"),
    ("daemon", "--socket", FILE),
)  # fmt: skip

#: Commands that write a file that the user names.
WRITERS: tuple[tuple[str, ...], ...] = (
    ("start", "--plain", *EMULATED, "--output", OUTPUT),
    ("profile", "export", "p.toml", "--format", "json", "-o", OUTPUT),
    ("source", "learn", "t.csv", "-o", OUTPUT),
    (*BENCH, "--target", "t.csv", "--json", OUTPUT),
)  # fmt: skip
