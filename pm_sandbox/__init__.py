"""The embedded factory: emulated AWS, emulated core device, deployer, and the demo."""
