"""What each board has (TOML)."""
