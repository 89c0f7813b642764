"""Files that identify the board and its release: device tree, fuses, release file; and two switches of a TX2."""

from __future__ import annotations

from functools import partial

from .spec import BoardSpec
from .tree import Folder, Tree

_REVISION_DATES = {28: "2017", 32: "2021", 34: "2022", 35: "2023", 36: "2024", 38: "2025"}


def add_identity(tree: Tree, spec: BoardSpec, boot_id: str, debugfs: bool) -> None:
    """Add device tree, chip id and release to `tree`. Device-tree strings end in NUL, without a newline."""
    base = "/sys/firmware/devicetree/base"
    tree.link("/proc/device-tree", base)
    tree.constant(f"{base}/model", spec.model + "\0")
    tree.constant(f"{base}/compatible", "".join(text + "\0" for text in spec.compatible))
    if spec.release.major <= 36:
        path = f"/dvs/git/dirty/git-master_linux/kernel/hardware/nvidia/{spec.soc}/{spec.dts}.dts"
        tree.constant(f"{base}/nvidia,dtsfilename", path + "\0")
    if spec.chip_id is not None:
        tree.constant("/sys/module/tegra_fuse/parameters/tegra_chip_id", f"{spec.chip_id}\n")
    if spec.release.major <= 28:
        tree.constant("/sys/devices/soc0/family", "Tegra\n")
        tree.constant("/sys/devices/soc0/machine", spec.model + "\n")
    tree.directory("/etc", plain=True)
    tree.plain("/etc/nv_tegra_release", _release_line(spec))
    tree.plain("/proc/sys/kernel/random/boot_id", boot_id + "\n", 0o444)
    if spec.soc == "tegra186":
        _add_tx2_extras(tree, debugfs)


def _release_line(spec: BoardSpec) -> str:
    release = spec.release
    name = {"tegra210": "t210ref", "tegra186": "t186ref", "tegra194": "t186ref"}.get(spec.soc, "generic")
    revision = f"{release.minor}.{release.patch}" if release.patch or release.major >= 34 else f"{release.minor}"
    year = _REVISION_DATES.get(release.major, "2024")
    return (
        f"# R{release.major} (release), REVISION: {revision}, GCID: 10000000, BOARD: {name}, "
        f"EABI: aarch64, DATE: Mon Jun  1 12:00:00 UTC {year}\n"
    )


def _add_tx2_extras(tree: Tree, debugfs: bool) -> None:
    """Add the switches that make a fixed clock true on a partly idle TX2 cluster."""
    values = {"/sys/module/qos/parameters/enable": "Y"}
    for cluster in "MB" if debugfs else "":
        values[f"/sys/kernel/debug/tegra_cpufreq/{cluster}_CLUSTER/cc3/enable"] = "1"

    def add(path: str) -> None:
        folder, _, name = path.rpartition("/")
        show = partial(values.__getitem__, path)
        Folder(tree, folder, "cpu").text(name, show, lambda text: values.update({path: text.strip()}))

    for path in tuple(values):
        add(path)
