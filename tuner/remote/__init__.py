"""A board that a process of its own sets: server, client and the protocol between them.

What runs on the board (`protocol`, `channel`, `board`, `server`, `listen`, `main`) is standard library only and
runs on Python 3.8; `bundle` packs it, `transport` and `client` are the session's side.
"""
