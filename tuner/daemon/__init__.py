"""The service: sessions that outlive terminals, over HTTP on a Unix socket.

The daemon's process imports neither Optuna nor numpy nor any plugin: each session, and each look at a device,
runs in a child process.
"""
