"""Device `host`: the Linux machine that this process runs on."""
