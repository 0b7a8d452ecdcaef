"""The functions that the state machine of a `ForecastPipeline` calls, each with what it may do and is set up with."""

import fnmatch
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pulumi
import pulumi_aws as aws

from pm_components.aws import archives, naming, packaging, recipes
from pm_components.aws.buckets import PrivateBucket
from pm_components.aws.group_names import canary_group_name, code_group_name, model_group_name
from pm_components.aws.lambda_function import LambdaFunction, contracts_layer, lambda_function
from pm_components.aws.limits import MODEL_PACKAGE_GROUP_NAME_LENGTH
from pm_components.aws.settings import converted
from pm_components.forecast_pipeline import pipeline_permissions as permit
from pm_components.forecast_pipeline.signing_keys import SigningKeys
from pm_components.functions.gate.core import Policy as GatePolicy
from pm_components.functions.site_groups import SiteGroups, content
from pm_components.functions.trial.core import Policy as TrialPolicy
from pm_contracts.model_kinds import MODEL_KINDS

#: An ARN of a thing group has up to 120 characters, and a role's policies have 10,240 in all ("IAM and STS quotas").
_SITES_BY_NAME = 10

#: The name of a thing group by the site's name.
NameOf = Callable[[str], str]


class PipelineFunctions:
    """Makes the functions of one pipeline.

    Args:
        name: the pipeline's logical name.
        parent: the pipeline.
        bucket: the artifact bucket.
        sites: whom models are shipped to.
        image_uri: the container image that models are trained in.
        keys: that sign models.
    """

    def __init__(
        self,
        name: str,
        parent: pulumi.Resource,
        bucket: PrivateBucket,
        sites: Sequence[str],
        image_uri: pulumi.Input[str],
        keys: SigningKeys,
    ) -> None:
        self._name = name
        self._parent = parent
        self._bucket = bucket.bucket
        self._objects = permit.Bucket(bucket.arn)
        self._sites = sites
        self._image_uri = image_uri
        self._keys = keys
        self.layer = contracts_layer(f"{name}-model", parent=parent)
        self._packages = {kind: self._model_package_group(kind) for kind in MODEL_KINDS}
        self._groups_key = self._site_groups()
        self._group_names = pulumi.Output.json_dumps(dict(self._packages))

    def gate(self, policy: pulumi.Input[str]) -> LambdaFunction:
        """Judges a trained model by `policy`, JSON of `gate.core.Policy`."""
        return self._function(
            "gate",
            "Judges a trained model, beside the champion",
            permit.gate_statements(self._parent, self._objects, self._packages.values()),
            {"GATE": policy, "MODEL_PACKAGE_GROUPS": self._group_names},
            memory_mebibytes=512,
        )

    def register(self) -> LambdaFunction:
        """Registers a trained model with the gate's verdict."""
        return self._function(
            "register",
            "Registers a trained model with the gate's verdict",
            permit.register_statements(self._parent, self._objects, self._packages.values()),
            {"MODEL_PACKAGE_GROUPS": self._group_names, "IMAGE_URI": self._image_uri},
        )

    def release(self, data_directory: pulumi.Input[str]) -> LambdaFunction:
        """Ships models to the model groups of sites."""
        sources = {name: recipes.load(kind.model_folder) for name, kind in MODEL_KINDS.items()}
        recipes.require_roots((one.recipe for one in sources.values()), {one.name for one in sources.values()})
        settings = {
            "artifact_bucket": self._bucket,
            "component_arn": self._component_arn(),
            "thing_group_arn": self._thing_group_arn(""),
            "thing_groups_key": self._groups_key,
            "data_directory": data_directory,
            "signing_key": self._keys.signs,
        }
        return self._function(
            "release",
            "Ships models: signed, a component version each, and a deployment for each site",
            permit.release_statements(
                self._parent,
                self._objects,
                [source.name for source in sources.values()],
                self._thing_group_arns(model_group_name),
                self._site_group_arns(),
                self._packages.values(),
                self._keys.statement(),
            ),
            {"RELEASE": pulumi.Output.json_dumps(settings)},
            timeout_seconds=300,
            memory_mebibytes=512,
            extra_files={
                f"pm_components/functions/release/recipes/{kind}.json": _recipe_file(kind, source)
                for kind, source in sources.items()
            },
        )

    def watch(self, watch_seconds: pulumi.Input[int]) -> LambdaFunction:
        """Looks how a release arrives."""
        return self._function(
            "watch",
            "Looks how a release arrives on the core devices",
            permit.watch_statements(self._parent, self._thing_group_arns(model_group_name), self._site_group_arns()),
            {"WATCH_SECONDS": pulumi.Output.from_input(watch_seconds).apply(lambda seconds: str(int(seconds)))},
        )

    def trial(
        self, policy: pulumi.Input[Mapping[str, Any]], workgroup: pulumi.Input[str], lake_bucket: pulumi.Input[str]
    ) -> LambdaFunction:
        """Tries a model on the core devices of the canary groups; `policy` is of `trial.core.Policy`."""
        # An execution tries one model at most, so that there is one challenger.
        [(kind, tried)] = [(kind.name, kind.trial) for kind in MODEL_KINDS.values() if kind.trial]
        source = recipes.load(tried.folder)
        recipes.require_roots([source.recipe], {source.name})
        settings = {
            "artifact_bucket": self._bucket,
            "component_arn": self._component_arn(),
            "thing_group_arn": self._thing_group_arn(""),
            "thing_groups_key": self._groups_key,
            "policy": policy,
            "signing_key": self._keys.signs,
        }
        folder = "pm_components/functions/trial"
        return self._function(
            "trial",
            f"Tries a {kind} model on a core device, beside the one in charge",
            permit.trial_statements(
                self._parent,
                self._objects,
                component_name=source.name,
                canary_group_arns=self._thing_group_arns(canary_group_name),
                site_group_arns=self._site_group_arns(),
                package_groups=[self._packages[kind]],
                workgroup=workgroup,
                lake_bucket=lake_bucket,
                sign=self._keys.statement(),
            ),
            {"TRIAL": pulumi.Output.json_dumps(settings)},
            timeout_seconds=300,
            memory_mebibytes=512,
            extra_files={
                f"{folder}/challenger.json": _recipe_file("challenger", source),
                f"{folder}/challenger.zip": archives.stored("challenger.zip", source.artifact()),
            },
        )

    def _function(
        self,
        package: str,
        description: str,
        statements: Sequence[permit.Statement],
        environment: Mapping[str, pulumi.Input[str]],
        *,
        timeout_seconds: int = 60,
        memory_mebibytes: int = 256,
        extra_files: Mapping[str, packaging.Path] | None = None,
    ) -> LambdaFunction:
        return lambda_function(
            f"{self._name}-{package}",
            package,
            parent=self._parent,
            description=description,
            statements=statements,
            environment=environment,
            layers=[self.layer.arn],
            timeout_seconds=timeout_seconds,
            memory_mebibytes=memory_mebibytes,
            extra_files=extra_files,
        )

    def _model_package_group(self, kind: str) -> pulumi.Output[str]:
        """The name of a new model package group."""
        return aws.sagemaker.ModelPackageGroup(
            f"{self._name}-{kind}-models",
            model_package_group_name=naming.physical_name(self._name, kind, maximum=MODEL_PACKAGE_GROUP_NAME_LENGTH),
            model_package_group_description=f"Every {kind} model made, approved or rejected by gate and trial",
            opts=pulumi.ResourceOptions(parent=self._parent),
        ).model_package_group_name

    def _site_groups(self) -> pulumi.Output[str]:
        """The key of a new object that names the thing groups of each site."""
        groups = {
            site: SiteGroups(code=code_group_name(site), model=model_group_name(site), canary=canary_group_name(site))
            for site in self._sites
        }
        file = archives.stored("thing_groups.json", content(groups))
        return aws.s3.BucketObjectv2(
            f"{self._name}-thing-groups",
            bucket=self._bucket,
            key=f"{permit.SITES}/thing_groups.json",
            source=pulumi.FileAsset(str(file)),
            content_type="application/json",
            opts=pulumi.ResourceOptions(parent=self._parent),
        ).key

    def _thing_group_arns(self, name_of: NameOf) -> list[pulumi.Output[str]]:
        """The ARNs of a thing group of every site; of many sites one pattern, for want of room in a policy.

        The pattern covers the groups of a stack whose name begins with this one's and a hyphen, too.
        """
        if len(self._sites) <= _SITES_BY_NAME:
            return [self._thing_group_arn(name_of(site)) for site in self._sites]
        pattern = name_of("*")
        if not all(fnmatch.fnmatchcase(name_of(site), pattern) for site in self._sites):
            pattern = f"{naming.physical_name()}-*"  # a long name ends in a hash
        return [self._thing_group_arn(pattern)]

    def _site_group_arns(self) -> list[pulumi.Output[str]]:
        """The ARNs of all thing groups of every site."""
        names = (code_group_name, model_group_name, canary_group_name)
        return [arn for name_of in names for arn in self._thing_group_arns(name_of)]

    def _thing_group_arn(self, name: str) -> pulumi.Output[str]:
        return naming.arn("iot", f"thinggroup/{name}", self._parent)

    def _component_arn(self) -> pulumi.Output[str]:
        return naming.arn("greengrass", "components:", self._parent)


def gate_policy(given: Mapping[str, Any]) -> str:
    """The gate's policy as JSON.

    Raises:
        ValueError: if a value is not allowed; the text names it.
    """
    return msgspec.json.encode(converted(given, GatePolicy, "gate")).decode()


def trial_policy(given: Mapping[str, Any]) -> dict[str, Any]:
    """The policy of a trial, checked; raises ValueError as `gate_policy`."""
    return dict(msgspec.to_builtins(converted(given, TrialPolicy, "canary")))


def _recipe_file(name: str, source: recipes.ComponentSource) -> packaging.Path:
    return archives.stored(f"{name}-recipe.json", json.dumps(source.recipe, indent=1, sort_keys=True).encode())
