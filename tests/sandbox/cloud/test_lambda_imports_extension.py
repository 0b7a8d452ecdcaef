"""The modules that a Lambda function of the emulated AWS can import.

Not proved here: which versions of its packages AWS's runtime has.
"""

import io
import json
import zipfile
from typing import Any

from pm_sandbox.cloud.extensions.lambda_imports import RUNTIME_PACKAGES

HANDLER = """
import importlib
def handler(event, context):
    found = []
    for name in event:
        try:
            importlib.import_module(name)
            found.append(name)
        except ModuleNotFoundError:
            pass
    return found
"""


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in files.items():
            file.writestr(name.replace("__", "/") + ".py", content)
    return packed.getvalue()


def test_a_function_imports_what_is_its_own_of_its_layers_and_of_the_runtime(account: Any) -> None:
    client = account.cloud.client("lambda")
    layer = client.publish_layer_version(LayerName=account.prefix, Content={"ZipFile": archive(python__of_layer="")})
    client.create_function(
        FunctionName=account.prefix,
        Runtime="python3.11",
        Role=account.role("lambda"),
        Handler="code.handler",
        Code={"ZipFile": archive(code=HANDLER, own="")},
        Layers=[layer["LayerVersionArn"]],
        Timeout=20,
    )
    asked = ["own", "of_layer", "json", *RUNTIME_PACKAGES, "msgspec", "numpy", "pm_contracts", "pm_components"]
    answer = client.invoke(FunctionName=account.prefix, Payload=json.dumps(asked))
    assert json.load(answer["Payload"]) == ["own", "of_layer", "json", *RUNTIME_PACKAGES]
