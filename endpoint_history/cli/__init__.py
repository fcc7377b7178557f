"""The command line: one module for each command or group of commands.

The modules import only what describes their commands. A command imports what it uses when it runs, so that each one,
and `--help`, starts fast.
"""
