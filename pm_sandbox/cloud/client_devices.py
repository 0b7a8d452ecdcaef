"""Greengrass's client devices as the cloud knows them: which belong to which core device, and where that is reached."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from pm_sandbox.cloud.emulator_calls import call_iot
from pm_sandbox.cloud.modelled_service import ApiError, Request, now, page


@dataclass
class ClientDevices:
    """The operations on client devices, and the records that discovery answers from.

    Attributes:
        associations: By core device: its client devices with the time since when.
        connectivity: By core device: where it is reached, entries as in the API's input.
        authorities: By core device: the certificates (PEM) that its broker is trusted by.
    """

    associations: dict[str, dict[str, dt.datetime]] = field(default_factory=dict)
    connectivity: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    authorities: dict[str, list[str]] = field(default_factory=dict)

    async def associate(self, request: Request) -> dict[str, Any]:
        """Say that things are client devices of a core device; a thing that does not exist is an error of its own."""
        core = await self._core_device(request)
        errors = []
        for entry in request.input["entries"]:
            thing = entry["thingName"]
            try:
                await call_iot("GET", f"/things/{thing}")
            except ApiError as error:
                errors.append({"thingName": thing, "code": error.code, "message": error.message})
                continue
            self.associations.setdefault(core, {}).setdefault(thing, now())
        return {"errorEntries": errors}

    async def disassociate(self, request: Request) -> dict[str, Any]:
        """Say that things are client devices of a core device no longer."""
        core = await self._core_device(request)
        errors = []
        for entry in request.input["entries"]:
            thing = entry["thingName"]
            if self.associations.get(core, {}).pop(thing, None) is None:
                message = f"{thing} is not associated with core device {core}"
                errors.append({"thingName": thing, "code": "ResourceNotFoundException", "message": message})
        return {"errorEntries": errors}

    async def list_associated(self, request: Request) -> dict[str, Any]:
        """The client devices of a core device, by name."""
        core = await self._core_device(request)
        devices = [
            {"thingName": thing, "associationTimestamp": since}
            for thing, since in sorted(self.associations.get(core, {}).items())
        ]
        some, token = page(devices, request.input)
        return {"associatedClientDevices": some, "nextToken": token}

    def get_connectivity(self, request: Request) -> dict[str, Any]:
        """The addresses of a core device."""
        return {"connectivityInfo": self.connectivity.get(request.input["thingName"], [])}

    def update_connectivity(self, request: Request) -> dict[str, Any]:
        """Say where a core device is reached."""
        self.connectivity[request.input["thingName"]] = request.input["connectivityInfo"]
        return {"message": "updated"}

    def cores_of(self, thing: str) -> list[str]:
        """The core devices that a thing is a client device of, by name."""
        return sorted(core for core, things in self.associations.items() if thing in things)

    def discovered(self, thing: str, thing_arn_prefix: str) -> dict[str, Any] | None:
        """The discovery's answer to a thing: its core devices with addresses and authorities; None if it has none.

        Source of the shape: "Greengrass discovery RESTful API", AWS IoT Greengrass V2 developer guide.
        """
        groups = [
            {
                "GGGroupId": f"greengrassV2-coreDevice-{core}",
                "Cores": [
                    {
                        "thingArn": f"{thing_arn_prefix}{core}",
                        "Connectivity": [
                            {
                                "Id": entry["id"],
                                "HostAddress": entry["hostAddress"],
                                "PortNumber": entry["portNumber"],
                                "Metadata": entry.get("metadata", ""),
                            }
                            for entry in self.connectivity.get(core, [])
                        ],
                    }
                ],
                "CAs": self.authorities.get(core, []),
            }
            for core in self.cores_of(thing)
        ]
        return {"GGGroups": groups} if groups else None

    @staticmethod
    async def _core_device(request: Request) -> str:
        core: str = request.input["coreDeviceThingName"]
        try:
            await call_iot("GET", f"/things/{core}")
        except ApiError as error:
            raise ApiError(
                "ResourceNotFoundException",
                f"core device {core} does not exist",
                resourceId=core,
                resourceType="CoreDevice",
            ) from error
        return core
