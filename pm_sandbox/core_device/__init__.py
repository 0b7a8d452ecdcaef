"""The emulated core device: a local broker, a nucleus that obeys deployments, and an uplink that can be cut."""

from pm_sandbox.core_device.device import CoreDevice, CoreDeviceError

__all__ = ["CoreDevice", "CoreDeviceError"]
