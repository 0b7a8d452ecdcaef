"""The project's program as another release might have it.

A component less, a recipe and another one's code changed, a function's code, another one's memory, and a policy.
"""

import json
import os
import runpy
from pathlib import Path

import pulumi

from pm_components.aws import recipes
from pm_components.greengrass_site import edge_components

ROOT = Path(__file__).resolve().parents[5]
FUNCTION, POLICY = "aws:lambda/function:Function", "aws:iam/rolePolicy:RolePolicy"
load = recipes.load


def loaded(folder):
    source = load(folder)
    if folder == "fault_detector":
        return source._replace(recipe={**source.recipe, "ComponentDescription": "Another release"})
    if folder == "uplink":
        return source._replace(files={**source.files, "release.txt": b"another\n"})
    return source


def allowed_more(text):
    document = json.loads(text)
    document["Statement"].append({"Effect": "Allow", "Action": ["iot:DescribeThing"], "Resource": ["*"]})
    return json.dumps(document)


def released(args):
    props = dict(args.props)
    if (args.type_, args.name) == (FUNCTION, "alerting-detector-function"):
        note = pulumi.StringAsset("another\n")
        props["code"] = pulumi.AssetArchive({**props["code"].assets, "release.txt": note})
    elif (args.type_, args.name) == (FUNCTION, "pipeline-watch-function"):
        props["memory_size"] = 512
    elif (args.type_, args.name) == (POLICY, "pipeline-watch-permissions"):
        props["policy"] = pulumi.Output.from_input(props["policy"]).apply(allowed_more)
    else:
        return None
    return pulumi.ResourceTransformationResult(props, args.opts)


recipes.load = loaded
edge_components.FOLDERS = tuple(one for one in edge_components.FOLDERS if one != "device_simulator")
pulumi.runtime.register_stack_transformation(released)
os.chdir(ROOT)
runpy.run_path("__main__.py", run_name="__main__")
