"""A profile as one JSON object, with the keys of the profile file."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tuner.profiles import Profile


class JsonExporter:
    """JSON for other programs: every field of the profile, null where there is none."""

    name = "json"
    summary = "one JSON object with all of the profile"

    def export(self, profile: Profile) -> str:
        """Return the object, indented, ending in a newline."""
        return json.dumps(as_dict(profile), indent=2, allow_nan=False) + "\n"


def as_dict(profile: Profile) -> dict[str, Any]:
    """Return the profile as JSON-able values, the schema version first."""
    fields = dataclasses.asdict(profile)
    return {"schema_version": fields.pop("schema_version"), **fields}
