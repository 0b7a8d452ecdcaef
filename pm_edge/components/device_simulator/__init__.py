"""The device simulator: plays a site's devices, on the reading channel, when a command asks for it."""
