"""A process of its own in which a model is tried before a component lets it in.

onnxruntime is native code: a model may keep it at work for ever, take all memory, or end the process, and no `try`
helps. So a fresh interpreter loads the model first and asks it the questions of its manifest, under limits of time,
memory and files; if that process is killed, the model is refused and the component goes on. What is measured there
holds for all answers, since no operator that passes `pm_contracts.model_graph` does more for one row than for another.

The interpreter starts isolated: it has no variable of the component's environment but the path of the system's
libraries, no folder of packages but those that it needs, and once it has them it can open no file.
"""

import os
import resource
import signal
import struct
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pm_contracts import model_graph
from pm_contracts.budgets import MEBIBYTE, MODEL_BYTES, MODEL_COPIES
from pm_contracts.manifest import MODEL_FILE
from pm_contracts.messages import Refused
from pm_contracts.model_kinds import decode_manifest

if TYPE_CHECKING:
    from pm_edge.runtime.models import Model

#: The processor's time that a model has to be loaded and to answer, seconds: ours take 0.05, one of 64 MiB takes 2.
PROCESSOR_SECONDS = 10
#: Seconds for it all, also where nothing computes: a model component waits 30 for the answer (`takeUpSeconds`).
SECONDS = 25
_MAXIMUM_REASON = 2000
_LENGTH = struct.Struct("!Q")
_PACKAGES = ("numpy", "onnxruntime", "msgspec", __name__)
#: The words of onnxruntime for it.
_NO_MEMORY = "bad_alloc"
#: Beside those of `_PACKAGES`: all of the environment that a process in quarantine has.
_ENVIRONMENT = ("LD_LIBRARY_PATH",)


def examine(manifest: bytes, content: bytes, as_type: "type[Model]") -> None:
    """Try a model in a process of its own.

    Args:
        manifest: the content of its manifest.
        content: the ONNX model.
        as_type: the models of its kind.

    Raises:
        Refused: if it cannot be loaded, does not answer as its manifest says, takes too much time or memory, or ends
            its process.
    """
    paths = list(dict.fromkeys(_folder(name) for name in (*_PACKAGES, as_type.__module__)))
    memory = MODEL_BYTES + MODEL_COPIES * len(content)
    arguments = [as_type.__module__, as_type.__qualname__, str(PROCESSOR_SECONDS), str(memory)]
    start = f"import sys; sys.path += {paths!r}; from {__name__} import main; main(*sys.argv[1:])"
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", start, *arguments],
            cwd="/",  # a folder of its own would be one more thing that a full disk denies
            env={**environment, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Refused(f"{MODEL_FILE} cannot be tried: {error}") from error
    with process:
        try:
            reason, _ = process.communicate(_LENGTH.pack(len(manifest)) + manifest + content, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Refused(f"{MODEL_FILE} takes more than {SECONDS} s to be loaded and to answer") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if reason:
        raise Refused(reason.decode(errors="replace"))
    if process.returncode:
        raise Refused(_end(process.returncode))


def _folder(module: str) -> str:
    """The folder in which a module's outermost package is found."""
    file = Path(str(import_module(module).__file__)).resolve()
    return str(file.parents[module.count(".") + (file.stem == "__init__")])


def _end(code: int) -> str:
    """The end of a process in words."""
    if code == -signal.SIGXCPU:
        return f"{MODEL_FILE} takes more than {PROCESSOR_SECONDS} s of processor time to be loaded and to answer"
    if code == -signal.SIGKILL:
        return f"{MODEL_FILE}: the process that tried it was killed, as the system does where memory is short"
    if code < 0:
        return f"{MODEL_FILE} ends the process that loads it, by {signal.Signals(-code).name}"
    return f"{MODEL_FILE} cannot be tried: the process ended with {code}"


def main(module: str, name: str, seconds: str, memory: str) -> None:
    """Try the model that comes on standard input, and write why it is refused on standard output."""
    as_type = getattr(import_module(module), name)
    given = sys.stdin.buffer.read()
    (length,) = _LENGTH.unpack_from(given)
    manifest = given[_LENGTH.size : _LENGTH.size + length]
    content = given[_LENGTH.size + length :]
    del given
    _limit(int(seconds), int(memory))
    try:
        model_graph.check(content)
        as_type(decode_manifest(manifest), content)
    except Exception as error:  # whatever it is, it is the model's
        reason = str(error) if isinstance(error, Refused) else f"{MODEL_FILE}: {type(error).__name__}: {error}"
        if isinstance(error, MemoryError) or _NO_MEMORY in reason:
            reason = f"{MODEL_FILE} needs more memory than the {int(memory) // MEBIBYTE} MiB that are allowed"
        sys.stdout.buffer.write(reason[:_MAXIMUM_REASON].encode(errors="backslashreplace"))


def _limit(seconds: int, memory: int) -> None:
    """Allow this process so much more of the processor's time and of memory, and no file that is not open yet."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = int(time.process_time()) + 1
    for what, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NOFILE, 3, 3),
        (resource.RLIMIT_CPU, used + seconds, used + seconds + 1),
        (resource.RLIMIT_AS, pages * resource.getpagesize() + memory, pages * resource.getpagesize() + memory),
    ):
        resource.setrlimit(what, (soft, hard))
