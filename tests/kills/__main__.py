"""Kill whatever writes to a board, at random moments; each time the board must be put back, or a profile complete.

    python -m tests.kills --kills 500 --seed 1
    python -m tests.kills --seed 1 --only 17 --keep     # one case again, and its folder

Needs root, FUSE, nsenter and unshare. The boards are EMULATED and mounted; the host is this machine in a mount
namespace with the CPUs of an emulated board over its own. What is killed: tests/kills/scenarios.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.campaign import Verdict, run_all


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="cases (default 500)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default 1)")
    parser.add_argument("--only", type=int, metavar="CASE", help="the one case of this number")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a case that failed")
    given = parser.parse_args()
    verdicts: list[Verdict] = []

    def tell(verdict: Verdict) -> None:
        verdicts.append(verdict)
        print(f"FAILED {verdict.trouble}" if verdict.trouble else verdict.line, flush=True)

    start_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    run_all(given.kills, given.seed, folder, given.only, given.keep, tell)
    failed = sum(bool(v.trouble) for v in verdicts)
    kills = sum(v.killed for v in verdicts)
    print(f"{len(verdicts)} cases of seed {given.seed} in {time.monotonic() - start_s:.0f} s: {kills} kills,")
    print(f"{len(verdicts) - kills} had ended before; {failed} boards (EMULATED) not put back.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
