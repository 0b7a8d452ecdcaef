"""The sandbox's own processes and requests, apart from what surrounds them on somebody's machine.

Loopback never goes through a proxy; nobody's AWS settings are read; what Python and Keras are set to by the user stays
outside; and no module of the working directory is imported.
"""

import functools
import os
import sys
import threading
import urllib.request
from collections.abc import Mapping
from typing import Any

#: Prefixes of what a process of ours is not given: the user's account, and the cloud of another factory.
_LEFT_OUT = ("AWS_", "PM_CLOUD_")
#: Nobody's AWS settings, also not from `~/.aws` or from an instance's role.
NO_AWS_SETTINGS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
#: Keras reads a backend from the first, and a backend and a precision from `keras.json` in the second.
OWN_KERAS_SETTINGS = {"KERAS_BACKEND": "jax", "KERAS_HOME": os.devnull}
_LOOPBACK_NAMES = ("127.0.0.1", "localhost")
#: Either spelling is read, by different libraries.
_NO_PROXY = ("no_proxy", "NO_PROXY")
#: Of all requests to loopback.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: boto3's sessions are not safe for threads; its clients are.
_session_lock = threading.Lock()


def python(module: str, *arguments: str) -> list[str]:
    """The command line of one of our modules in this interpreter.

    `-P` keeps the working directory, which is the user's, off the module path: a `queue.py` there is none of ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process of ours: this process's, or another, without what would lead it astray."""
    given = os.environ if inherited is None else inherited
    kept = {name: value for name, value in given.items() if not name.startswith(_LEFT_OUT)}
    return kept | NO_AWS_SETTINGS | OWN_KERAS_SETTINGS | _without_proxy(given) | {"PYTHONUTF8": "1"}


def get(url: str, timeout: float) -> bytes:
    """The answer of a URL of loopback, never through a proxy.

    Raises:
        OSError: if nobody answers, or with an error.
    """
    with _DIRECT.open(url, timeout=timeout) as response:
        return bytes(response.read())


def aws_client(
    service: str, *, endpoint: str, region: str, key: str, secret: str, token: str | None = None, **options: Any
) -> Any:
    """A boto3 client of the embedded cloud, which reads no settings of the user's.

    Args:
        service: Its name.
        endpoint: URL of the cloud's APIs.
        region: The region.
        key: Access key id.
        secret: Secret access key.
        token: Session token of temporary credentials.
        options: More of `botocore.config.Config`.
    """
    # Imported here: most processes need no client, and this takes a third of a second.
    from botocore.config import Config

    with _session_lock:
        return _session().client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(proxies={}, **{"s3": {"addressing_style": "path"}, **options}),
        )


@functools.cache
def _session() -> Any:
    """A boto3 session whose settings are boto3's defaults; it keeps the service models that it has read."""
    import boto3
    import botocore.session
    from botocore.configprovider import ConfigValueStore, ConstantProvider

    session = botocore.session.Session()
    defaults = {name: variable[2] for name, variable in session.session_var_map.items()}
    no_files = {"config_file": os.devnull, "credentials_file": os.devnull}
    constants = {name: ConstantProvider(value) for name, value in (defaults | no_files).items()}
    session.register_component("config_store", ConfigValueStore(constants))
    return boto3.Session(botocore_session=session)


def _without_proxy(given: Mapping[str, str]) -> dict[str, str]:
    """The variables by which libraries ask loopback directly, beside what the user has excepted."""
    excepted = next((given[name] for name in _NO_PROXY if given.get(name)), "")
    # `*` alone excepts all, and beside other names nothing.
    names = excepted if excepted == "*" else ",".join(filter(None, (excepted, *_LOOPBACK_NAMES)))
    return dict.fromkeys(_NO_PROXY, names)
