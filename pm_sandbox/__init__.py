"""The embedded factory: emulated AWS, emulated core device, local training, and the command line `pm`."""
