"""A sensor of the plant: a Greengrass client device, in a process of its own and with an identity of its own."""
