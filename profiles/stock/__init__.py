"""Power modes that vendors ship (TOML)."""
