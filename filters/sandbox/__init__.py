"""Sandboxes for untrusted programs: `local.LocalSandbox`, or any other implementation of `program.Sandbox`."""
