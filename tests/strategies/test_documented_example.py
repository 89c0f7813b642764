"""The example in docs/strategies.md keeps the contract, as the page says."""

from __future__ import annotations

import re
from typing import Any

from tests.conftest import ROOT

_blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "strategies.md").read_text(), re.DOTALL)
_namespace: dict[str, Any] = {"__name__": __name__}
exec("\n".join(_blocks), _namespace)

TestNeighbour = _namespace["TestNeighbour"]
