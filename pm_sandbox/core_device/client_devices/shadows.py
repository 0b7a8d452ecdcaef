"""The shadows of client devices on their core device: answered here at once, and kept in step with the cloud's.

What a device reports goes to the cloud when that can be reached, as the state that it then has; a shadow is no log.
What the cloud desires is looked up regularly and comes to the device as a delta.
Topics and documents are those of "Device Shadow MQTT topics", AWS IoT Core developer guide.
"""

import asyncio
import contextlib
import copy
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pm_sandbox.core_device.client_devices.cloud import DeviceCloud, Refused, Unreachable
from pm_sandbox.state_files import recovered, write_json

#: Seconds between looks at what the cloud desires, and after which an unreachable cloud is tried again.
LOOK_AGAIN = 5.0
#: Bytes of a shadow's state as JSON: "Maximum size of a JSON state document", AWS IoT Device Shadow service quotas, and
#: `shadowDocumentSizeLimitBytes` of the shadow manager.
SHADOW_BYTES = 8 * 1024

log = logging.getLogger("client_devices")

Publish = Callable[[str, bytes], None]


class _TooLarge(ValueError):
    """A state that would exceed what a shadow holds."""


class Shadows:
    """The classic shadows of things.

    Attributes:
        counters: `updates` by devices, `rejected` of them, `synchronized` to the cloud, `refused` by it.
    """

    def __init__(self, file: Path, cloud: DeviceCloud, synchronized: Iterable[str], publish: Publish) -> None:
        """Keep the shadows in `file`, those of `synchronized` in step with `cloud`; answers go to `publish`."""
        self._file = file
        self._cloud = cloud
        self._synchronized = frozenset(synchronized)
        self._publish = publish
        self._shadows: dict[str, dict[str, Any]] = {
            thing: shadow for thing, shadow in recovered(file).items() if _is_whole(shadow)
        }
        self._changed = asyncio.Event()
        self.counters: Counter[str] = Counter()

    def handle(self, thing: str, request: str, payload: bytes) -> None:
        """Answer what a device asks of its shadow: `update`, `get`; others are rejected."""
        base = f"$aws/things/{thing}/shadow/{request}"
        try:
            document = json.loads(payload or b"{}")
            if not isinstance(document, dict):
                raise ValueError("a shadow document must be a JSON object")
            answer = self._update(thing, document) if request == "update" else self._get(thing, request)
        except (ValueError, RecursionError) as error:
            self.counters["rejected"] += 1
            code = 413 if isinstance(error, _TooLarge) else 400
            self._publish(f"{base}/rejected", json.dumps({"code": code, "message": str(error)}).encode())
            return
        self._publish(f"{base}/accepted", json.dumps(answer).encode())

    async def run(self, is_connected: Callable[[str], bool]) -> None:
        """Keep the shadows in step until cancelled; `is_connected` says which devices are there to be told."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_AGAIN)
            self._changed.clear()
            try:
                for thing in sorted(self._synchronized):
                    await self._send(thing)
                    if is_connected(thing):
                        await self._look(thing)
            except Unreachable:
                await asyncio.sleep(LOOK_AGAIN)
                self._changed.set()

    def _update(self, thing: str, document: dict[str, Any]) -> dict[str, Any]:
        state = document.get("state")
        if not isinstance(state, dict) or not isinstance(state.get("reported"), dict) or set(state) != {"reported"}:
            raise ValueError("a device reports: state must hold an object `reported` and nothing else")
        shadow = self._shadows.get(thing) or _new()
        reported = copy.deepcopy(shadow["reported"])
        _merge(reported, state["reported"])
        size = len(json.dumps({"desired": shadow["desired"], "reported": reported}, separators=(",", ":")).encode())
        if size > SHADOW_BYTES:
            raise _TooLarge(f"the shadow would have {size} bytes, and {SHADOW_BYTES} are allowed")
        self._shadows[thing] = shadow
        shadow["reported"] = reported
        shadow["version"] += 1
        shadow["to_send"] = True
        self.counters["updates"] += 1
        self._save()
        self._changed.set()
        answer = {"state": state, "version": shadow["version"], "timestamp": int(time.time())}
        if "clientToken" in document:
            answer["clientToken"] = document["clientToken"]
        return answer

    def _get(self, thing: str, request: str) -> dict[str, Any]:
        if request != "get" or thing not in self._shadows:
            raise ValueError(f"no shadow of {thing}" if request == "get" else f"{request}: allowed are update and get")
        shadow = self._shadows[thing]
        state = {part: shadow[part] for part in ("desired", "reported") if shadow[part]}
        return {"state": state, "version": shadow["version"], "timestamp": int(time.time())}

    async def _send(self, thing: str) -> None:
        shadow = self._shadows.get(thing)
        if shadow is None or not shadow["to_send"]:
            return
        version = shadow["version"]
        # A copy: the device may report more while it is on its way.
        reported = copy.deepcopy(shadow["reported"])
        try:
            await asyncio.to_thread(self._cloud.update_shadow, thing, {"reported": reported})
        except Refused as refused:
            log.error("the cloud refuses the shadow of %s: %s", thing, refused)
            self.counters["refused"] += 1
        else:
            self.counters["synchronized"] += 1
        # What was refused once is refused again until the device reports something new.
        if shadow["version"] == version:
            shadow["to_send"] = False
            self._save()

    async def _look(self, thing: str) -> None:
        try:
            found = await asyncio.to_thread(self._cloud.shadow, thing)
        except Refused as refused:
            log.error("the cloud does not show the shadow of %s: %s", thing, refused)
            return
        desired = found.get("state", {}).get("desired", {})
        shadow = self._shadow(thing)
        if desired == shadow["desired"]:
            return
        shadow["desired"] = desired
        shadow["version"] += 1
        self._save()
        delta = {key: value for key, value in desired.items() if shadow["reported"].get(key) != value}
        if delta:
            document = {"state": delta, "version": shadow["version"], "timestamp": int(time.time())}
            self._publish(f"$aws/things/{thing}/shadow/update/delta", json.dumps(document).encode())

    def _shadow(self, thing: str) -> dict[str, Any]:
        return self._shadows.setdefault(thing, _new())

    def _save(self) -> None:
        try:
            write_json(self._file, self._shadows)
        except OSError as error:
            log.error("the shadows are not saved: %s", error)


def _new() -> dict[str, Any]:
    return {"desired": {}, "reported": {}, "version": 0, "to_send": False}


def _is_whole(shadow: Any) -> bool:
    """True for a shadow as this version keeps it."""
    wanted = {key: type(value) for key, value in _new().items()}
    return isinstance(shadow, dict) and {key: type(value) for key, value in shadow.items()} == wanted


def _merge(base: dict[str, Any], change: dict[str, Any]) -> None:
    """Lay `change` over `base`: objects are merged, null removes a key."""
    for key, value in change.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
