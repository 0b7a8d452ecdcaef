"""The rim of the components: arguments, packages, files, counters, dead letters."""

import base64
import datetime as dt
import errno
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from awscrt import io, mqtt, mqtt5

from pm_contracts import site_devices
from pm_contracts.messages import DeadLetter, Refused, decode, encode
from pm_edge.components.uplink import uplink as uplink_module
from pm_edge.components.uplink.admission import Admission, Priority
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.runtime.callback_threads import keep_thread_state
from pm_edge.runtime.component import Component, Counters
from pm_edge.runtime.connect import connect
from pm_edge.runtime.dead_letters import MAXIMUM_BYTES, dead_letter
from pm_edge.runtime.files import write_atomically
from pm_edge.runtime.journal import Journal
from pm_edge.runtime.settings import Settings, argument_parser, parse_settings, settings_of
from pm_edge.runtime.state_file import StateFile
from pm_edge.runtime.window import Room, Window

ROOT = Path(__file__).parents[2]

_IMPORT = """
import importlib.abc, sys
allowed = set(sys.stdlib_module_names) | {"pm_edge", "pm_contracts"}
allowed |= {"awscrt", "_awscrt", "awsiot", "google", "msgspec", "numpy", "onnxruntime"}

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ImportError("not on a core device: " + name)
        return None

sys.meta_path.insert(0, Blocker())
import importlib
for module in sys.argv[1:]:
    importlib.import_module(module)
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted(loaded & {"pulumi", "boto3", "pm_sandbox", "pm_ml", "pm_components", "pandas", "yaml", "paho"}))
"""


def test_every_main_runs_with_what_a_core_device_has_and_nothing_else():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "pm_edge").glob("*/*/__main__.py"))
    ]
    assert len(modules) == 7
    modules += ["pm_edge.runtime.mqtt_bus", "pm_edge.runtime.greengrass_bus"]
    run = subprocess.run(
        [sys.executable, "-c", _IMPORT, *modules], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--site": "Lindau"}, "'Lindau' is no name: allowed are 1 to 32 of a-z, 0-9 and inner hyphens"),
        ({"--devices": "air-1"}, "'air-1' is no NAME=TYPE"),
        ({"--devices": ""}, "'' is no NAME=TYPE"),
        ({"--devices": "air-1=air"}, "device 'air-1' has type 'air': allowed are air_quality, machine"),
        ({"--devices": "a=machine,a=machine"}, "device 'a' is named twice"),
        ({"--devices": "A=machine"}, "'A' is no name"),
        ({"--data-directory": None}, "--data-directory"),
    ],
)
def test_a_wrong_argument_ends_the_process_with_what_is_allowed(change, said, capsys):
    arguments = {"--site": "lindau", "--devices": "air-1=air_quality", "--data-directory": "/tmp/x", **change}
    words = [word for name, value in arguments.items() if value is not None for word in (name, value)]
    with pytest.raises(SystemExit) as caught:
        parse_settings("edge.test", "", words)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_the_devices_come_by_type_in_the_order_given():
    devices = "b=machine, air-1=air_quality,a=machine"
    settings = parse_settings("edge.test", "", ["--site", "lindau", "--devices", devices, "--data-directory", "/data"])
    assert settings.devices_of("machine") == ["b", "a"]
    assert settings.data_directory == Path("/data")


def _listed(folder: Path, site: str = "lindau") -> Settings:
    parser = argument_parser("edge.test", "")
    return settings_of(parser.parse_args(["--site", site, "--data-directory", str(folder)]), seconds=0.0)


def test_without_an_argument_the_devices_are_those_of_the_site_s_list(tmp_path):
    file = tmp_path / site_devices.FILE_NAME
    file.write_bytes(site_devices.encode("lindau", {"b": "machine", "a": "air_quality"}))
    settings = _listed(tmp_path)
    assert settings.devices == {"a": "air_quality", "b": "machine"}
    assert not settings.devices_have_changed()
    file.write_bytes(site_devices.encode("lindau", {"b": "machine"}))
    assert settings.devices_have_changed()
    # A list that cannot be used changes nothing.
    for content in (b"", site_devices.encode("gera", {"c": "machine"})):
        file.write_bytes(content)
        assert not settings.devices_have_changed()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "devices.json is not there: the component pm.SiteDevices installs it, or give --devices NAME=TYPE,.."),
        (b"{", "devices.json: no list of a site's devices: Input data was truncated"),
        (b'{"site":"lindau","devices":{"a":"pump"}}', "Invalid enum value 'pump'"),
        (b'{"site":"gera","devices":{}}', "found the devices of site gera, allowed are those of lindau"),
    ],
)
def test_a_list_that_is_not_there_or_wrong_ends_the_process_with_the_reason(content, said, tmp_path):
    if content is not None:
        (tmp_path / site_devices.FILE_NAME).write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        _listed(tmp_path)
    assert said in str(caught.value.code)


def test_a_list_that_comes_later_is_waited_for(tmp_path):
    content = site_devices.encode("lindau", {"a": "machine"})
    later = threading.Timer(0.3, lambda: write_atomically(tmp_path / site_devices.FILE_NAME, content))
    later.start()
    settings = parse_settings("edge.test", "", ["--site", "lindau", "--data-directory", str(tmp_path)])
    later.join()
    assert settings.devices == {"a": "machine"}


@pytest.mark.parametrize("devices", [{"A": "machine"}, {"a": "pump"}])
def test_a_list_of_what_the_contract_does_not_have_is_not_written(devices):
    with pytest.raises(Refused, match="no list of a site's devices"):
        site_devices.encode("lindau", devices)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "state.json"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in path.parent.iterdir()] == ["state.json"]


def test_a_state_that_is_none_is_put_aside_and_a_full_disk_is_said_once(tmp_path, monkeypatch, caplog):
    path = tmp_path / "state.json"
    state = StateFile(path)
    assert state.load() == {}
    for content in (b'{"a": ', b"[1]"):
        path.write_bytes(content)
        assert state.load() == {}
        assert path.with_name("state.json.damaged").read_bytes() == content
    assert state.save({"a": 1})
    assert StateFile(path).load() == {"a": 1}

    caplog.clear()
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        assert [state.save({"a": 2}), state.save({"a": 3})] == [False, False]
    assert state.save({"a": 4})
    assert [record.message[:18] for record in caplog.records] == ["state is not saved", "state is saved aga"]


def test_a_dead_letter_of_something_huge_is_cut_says_so_and_fits_into_a_message():
    letter = dead_letter("lindau", "pm.Uplink", "t" * 500, b"x" * 10**6, "r" * 5000)
    assert decode(encode(letter), DeadLetter) == letter
    assert letter.reason.endswith("of 1000000 bytes)")
    kept = base64.b64decode(letter.payload)
    assert kept == b"x" * len(kept)
    assert MAXIMUM_BYTES - 64 < len(encode(letter)) <= MAXIMUM_BYTES
    whole = dead_letter("lindau", "pm.Uplink", "topic", b"\x00\xff", "why")
    assert (base64.b64decode(whole.payload), whole.reason) == (b"\x00\xff", "why")


def test_the_dead_letter_store_keeps_the_latest(tmp_path, monkeypatch):
    monkeypatch.setattr("pm_edge.components.uplink.dead_letter_store.KEPT", 3)
    store = DeadLetterStore(tmp_path / "dead-letters.sqlite")
    letters = [dead_letter("lindau", "pm.Uplink", f"topic/{number}", b"", "why") for number in range(5)]
    store.keep(letters[:2])
    store.keep(letters[2:])
    store.keep(letters[4:])  # once more, as after a crash
    store.close()
    with sqlite3.connect(tmp_path / "dead-letters.sqlite") as database:
        kept = [topic for (topic,) in database.execute("SELECT topic FROM dead_letter ORDER BY id")]
    assert kept == ["topic/2", "topic/3", "topic/4"]


def test_damaged_dead_letters_are_put_aside_and_do_not_end_the_uplink(tmp_path):
    path = tmp_path / "dead-letters.sqlite"
    letter = dead_letter("lindau", "pm.Uplink", "topic", b"", "why")
    store = DeadLetterStore(path)
    store.keep([letter])
    store.close()
    content = path.read_bytes()
    for start in range(0, len(content), 4096):
        path.write_bytes(content[:start] + b"\xa5" * 4096 + content[start + 4096 :])
        store = DeadLetterStore(path)
        store.keep([letter])
        store.close()
        with sqlite3.connect(path) as database:
            assert database.execute("SELECT count(*) FROM dead_letter").fetchone() == (1,)


def test_counters_and_window_count():
    counters = Counters()
    counters.count("readings")
    counters.count("readings", 4)
    counters.set("buffered", 7)
    assert counters.snapshot() == {"readings": 5, "buffered": 7}
    window = Window(Room(2, 100))
    first = window.enter()
    second = window.enter()
    assert not window.wait_for_earlier(0)
    window.leave(second)
    assert not window.wait_for_earlier(0)
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(window.wait_for_earlier(10)))
    waiting.start()
    third = window.enter()
    window.leave(first)
    waiting.join(10)
    assert waited in ([True], [False]), waited
    window.leave(third)
    assert window.wait_for_earlier(0)
    window.close(ValueError("first"))
    window.close(ValueError("second"))
    with pytest.raises(RuntimeError, match="closed: first"):
        window.enter()
    assert not window.wait_for_earlier(0)


def test_a_callback_thread_keeps_its_python_state_from_one_callback_to_the_next():
    threads = io.EventLoopGroup(1)
    resolver = io.DefaultHostResolver(threads)
    client = mqtt.Client(io.ClientBootstrap(threads, resolver))
    seen: list[object] = []
    local = threading.local()

    def call_back() -> None:
        """One callback on the library's thread: that of a connection which cannot be."""
        done = threading.Event()

        def note(**_: object) -> None:
            seen.append(getattr(local, "mark", None))
            local.mark = len(seen)
            if len(seen) == 2:
                keep_thread_state()
                keep_thread_state()
            done.set()

        connection = mqtt.Connection(client, "127.0.0.1", 1, "nobody", on_connection_failure=note)
        assert connection.connect().exception(60) is not None
        assert done.wait(60)

    for _ in range(4):
        call_back()
    assert seen == [None, None, 2, 3]


def test_the_bus_of_a_nucleus_that_does_not_answer_is_an_error_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", str(tmp_path / "no.socket"))
    monkeypatch.setenv("SVCUID", "token")
    with pytest.raises(RuntimeError, match="the Greengrass nucleus does not answer"):
        connect("lindau", "pm.Test")


def test_dead_letters_carry_the_time_in_utc():
    assert dead_letter("lindau", "c", "t", b"", "why").refused_at.utcoffset() == dt.timedelta(0)


class _Throttled:
    """A cloud that is asked too much, so many times, and takes everything then."""

    def __init__(self, times: int) -> None:
        self._left = times
        self.took = threading.Event()

    def start(self) -> None:
        pass

    stop = take_up_identity = start

    def publish(self, topic: str, payload: bytes) -> "Future[mqtt5.PublishCompletionData]":
        self._left -= 1
        if self._left < 0:
            self.took.set()
        code = mqtt5.PubackReasonCode.SUCCESS if self._left < 0 else mqtt5.PubackReasonCode.QUOTA_EXCEEDED
        future: Future[mqtt5.PublishCompletionData] = Future()
        future.set_result(mqtt5.PublishCompletionData(puback=mqtt5.PubackPacket(reason_code=code)))
        return future


def test_a_cloud_that_is_asked_too_much_is_left_alone_for_longer_and_longer(tmp_path, monkeypatch):
    longest: list[float] = []
    monkeypatch.setattr("pm_edge.components.uplink.sender.random.uniform", lambda _, most: longest.append(most) or 0.0)
    settings = Settings("lindau", {"air-1": "air_quality"}, tmp_path)
    uplink = uplink_module.Uplink(
        Component("pm.Uplink", settings, None),
        Admission("lindau", settings.devices),
        Outbox(tmp_path / "outbox.sqlite", 10**6, [int(priority) for priority in Priority]),
        DeadLetterStore(tmp_path / "dead-letters.sqlite"),
        Journal(tmp_path / "journal", "uplink"),
    )
    cloud = _Throttled(9)
    uplink.start(cloud, 10)
    uplink.up()
    letter = dead_letter("lindau", "pm.Uplink", "topic", b"", "why")
    uplink.arrived("pm/lindau/dead-letter", encode(letter))
    assert cloud.took.wait(60)
    uplink.finish()
    assert longest == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
