"""The modules that a Lambda function may import: its own, its layers', and those of the runtime.

The emulator runs a function with the interpreter and the environment that it runs in itself, where everything of this
project can be imported. On AWS a function without the layer that it needs ends at its first import.
"""

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from pm_sandbox.cloud.seams import SeamError

#: "Runtime-included SDK versions", AWS Lambda developer guide, building with Python: the SDK and what it depends on.
RUNTIME_PACKAGES = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")

#: Runs in the function's process before anything of it: beside the standard library it leaves the runtime's packages.
_RUNTIME_ALONE = f"""
import importlib.machinery, sys

_installed = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
sys.path[:] = [path for path in sys.path if path not in _installed]
sys.meta_path[:] = [one for one in sys.meta_path if not getattr(one, "__module__", "").startswith("__editable__")]


class _Runtime:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is None and name in {RUNTIME_PACKAGES!r}:
            return importlib.machinery.PathFinder.find_spec(name, _installed, target)


sys.meta_path.append(_Runtime)
"""


def install() -> None:
    """Have the processes of Python functions begin with that."""
    for module, name in ((lambda_runtime, "_PYTHON_WORKER_SCRIPT"), (lambda_svc, "_WRAPPER_SCRIPT")):
        script = getattr(module, name, None)
        if not isinstance(script, str):
            raise SeamError(f"{module.__name__}.{name} is gone from ministack; an extension puts code before it")
        setattr(module, name, _RUNTIME_ALONE + script)
