"""The HTTP API for callers in any language, out of parts that can be switched off one by one."""
