"""The contracts: what the parts say to one another. No AWS, no Pulumi; everyone may import it, it imports nobody here.

* `measurements`: what each device type measures, with units and ranges.
* `messages`: the messages on the wire, their validation and their identity.
* `topics`: the MQTT topics, and the names that the original samples used for them.
* `tables`: the lake's tables and the IoT rule statements that feed them, derived from the messages.
* `manifest`: what travels beside a model file.
"""
