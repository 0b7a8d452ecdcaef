"""The devices behind a core device: what AWS's client device components do, in one process of ours.

Client device auth, the MQTT broker, the bridge and the shadow manager are played by `python -m
pm_sandbox.core_device.client_devices`, which the nucleus starts where a deployment asks for them, with the
configuration that the deployment gives them.
"""
