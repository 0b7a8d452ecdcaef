"""The demo: the whole system's main job in the embedded factory, measured, and told to a newcomer."""
