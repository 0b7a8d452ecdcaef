"""All that runs on a core device: one folder a Greengrass component, `runtime/` they share, and the simulator."""
