"""Read, validate and write profile files."""

from tuner.profiles.files import read_profile, write_profile
from tuner.profiles.profile import IMPORTED, SCHEMA_VERSION, Profile, ProfileMetric, ProfileOption

__all__ = ["IMPORTED", "SCHEMA_VERSION", "Profile", "ProfileMetric", "ProfileOption", "read_profile", "write_profile"]
