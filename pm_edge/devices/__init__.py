"""The devices of a site: a sensor with an identity of its own, simulated and recorded readings, their player."""
