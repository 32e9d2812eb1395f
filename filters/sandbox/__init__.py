"""Runs programs that nobody has read: `local.LocalSandbox` on this machine, or anybody's `program.Sandbox`."""
