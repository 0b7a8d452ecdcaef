"""The behaviours of an engine, by case: a program's registrations in each run, and the steps for each resource.

Both engines run them: ours in test_behaviours.py, Pulumi's own in tests/engine/test_behaviours_by_engine.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

#: The steps of one run, by the resource's name, in the order in which they come.
Steps = dict[str, list[str]]

#: A replacement as Pulumi's engine tells it: where the new one comes first, and where the old one has to go first.
REPLACED = ["create-replacement", "replace", "delete-replaced"]
REPLACED_DELETED_FIRST = ["delete-replaced", "replace", "create-replacement"]
RUNS = 4


@dataclass(frozen=True)
class Case:
    """One behaviour.

    Attributes:
        register: Registers what the program has in the run of this number.
        steps: What follows, run by run.
    """

    register: Callable[[int], None]
    steps: list[Steps]


@dataclass(frozen=True)
class Failing:
    """A behaviour that ends in an error.

    Attributes:
        register: As for `Case`; run 0 goes well, run 1 does not, and run 2 does again.
        message: What the error says, as a regular expression.
        changed: The steps of run 1 before the error, but for what stays the same.
    """

    register: Callable[[int], None]
    message: str
    changed: Steps


#: The steps of run 2 of the cases that fail, where all of them go on.
LAST = {"refused": "create", "role": "create"}
CASES: dict[str, Case] = {}
FAILING: dict[str, Failing] = {}
_Register = Callable[[int], None]


def case(*steps: Steps) -> Callable[[_Register], _Register]:
    def add(register: _Register) -> _Register:
        assert len(steps) == RUNS
        CASES[register.__name__] = Case(register, list(steps))
        return register

    return add


def failing(message: str, changed: Steps) -> Callable[[_Register], _Register]:
    def add(register: _Register) -> _Register:
        FAILING[register.__name__] = Failing(register, message, changed)
        return register

    return add


def queue(name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> aws.sqs.Queue:
    return aws.sqs.Queue(name, name=inputs.pop("called", name), opts=opts, **inputs)


def policy(name: str, of: aws.sqs.Queue, opts: pulumi.ResourceOptions | None = None) -> aws.sqs.QueuePolicy:
    return aws.sqs.QueuePolicy(name, queue_url=of.url, policy='{"Version": "2012-10-17", "Statement": []}', opts=opts)


class Component(pulumi.ComponentResource):
    """A component with one queue."""

    def __init__(
        self, name: str, inputs: dict[str, Any] | None = None, opts: pulumi.ResourceOptions | None = None, of: str = ""
    ) -> None:
        super().__init__("test:index:Component", name, inputs, opts)
        self.queue = queue(f"{name}-queue", pulumi.ResourceOptions(parent=self), called=f"{of or name}-queue")
        self.register_outputs({"url": self.queue.url})


Options = pulumi.ResourceOptions


@case({"same": ["create"]}, {"same": ["same"]}, {"same": ["same"]}, {"same": ["same"]})
def nothing_changes(run: int) -> None:
    queue("same", tags={"a": "b"})


@case(
    {"changed": ["create"]},
    {"changed": ["update"]},
    {"changed": ["same"]},
    {"changed": ["update"]},
)
def an_input_changes_and_goes(run: int) -> None:
    queue("changed", **({"visibility_timeout_seconds": 30 + min(run, 1)} if run < 3 else {}))


@case(
    {"moved": ["create"], "moved-policy": ["create"]},
    {"moved": REPLACED, "moved-policy": REPLACED},
    {"moved": ["same"], "moved-policy": ["same"]},
    {"moved": ["delete"], "moved-policy": ["delete"]},
)
def a_name_in_the_cloud_changes(run: int) -> None:
    if run < 3:
        policy("moved-policy", queue("moved", called=f"moved-{min(run, 1)}"))


@case({"coming": ["create"]}, {"coming": ["delete"]}, {"coming": ["create"]}, {"coming": ["same"]})
def a_resource_goes_and_comes_again(run: int) -> None:
    if run != 1:
        queue("coming")


@case(
    {"first": ["create"], "second": ["create"]},
    {"first": ["same"], "second": ["same"]},
    {"first": ["delete"], "second": ["delete"]},
    {},
)
def what_depends_on_another_is_deleted_before_it(run: int) -> None:
    if run < 2:
        queue("second", Options(depends_on=[queue("first")]))


@case(
    {"ignored": ["create"], "ignored-in-part": ["create"]},
    {"ignored": ["same"], "ignored-in-part": ["update"]},
    {"ignored": ["update"], "ignored-in-part": ["same"]},
    {"ignored": ["update"], "ignored-in-part": ["update"]},
)
def changes_are_ignored(run: int) -> None:
    # What was ignored stays ignored beside a change that is not, and counts once it is not ignored any more.
    ignored = ["tags"] if run < 3 else []
    delay = {"delay_seconds": 1} if run >= 2 else {}
    queue("ignored", Options(ignore_changes=ignored), tags={"a": "b" if run == 0 else "c"}, **delay)
    tags = {"a": str(run), "b": str(min(run, 1))}
    queue("ignored-in-part", Options(ignore_changes=["tags.a"] if run < 3 else []), tags=tags)


@case(
    {"key": ["create"], "key-in-part": ["create"]},
    {"key": REPLACED, "key-in-part": REPLACED},
    {"key": ["update"], "key-in-part": ["update"]},
    {"key": ["same"], "key-in-part": ["same"]},
)
def a_change_replaces_since_the_program_says_so(run: int) -> None:
    changes = min(run, 2)
    asked = ["description"] if run < 2 else []
    aws.kms.Key("key", description=f"number {changes}", opts=Options(replace_on_changes=asked))
    asked = ["tags.a"] if run < 2 else []
    aws.kms.Key("key-in-part", tags={"a": f"number {changes}"}, opts=Options(replace_on_changes=asked))


@case(
    {"first-gone": ["create"], "first-gone-policy": ["create"], "first-gone-other": ["create"]},
    {
        "first-gone": REPLACED_DELETED_FIRST,
        "first-gone-policy": REPLACED_DELETED_FIRST,
        "first-gone-other": ["update"],
    },
    {"first-gone": ["same"], "first-gone-policy": ["same"], "first-gone-other": ["same"]},
    {"first-gone": REPLACED_DELETED_FIRST, "first-gone-policy": ["delete-replaced"], "first-gone-other": ["update"]},
)
def the_old_one_is_deleted_before_the_new_one_is_made(run: int) -> None:
    # What would be replaced with it goes first, and comes again if the program still has it; what only changes stays.
    one = queue("first-gone", Options(delete_before_replace=True), called=f"first-gone-{(run + 1) // 2}")
    if run < 3:
        policy("first-gone-policy", one)
    queue("first-gone-other", tags={"of": one.name})


@case(
    {"grouped": ["create"]},
    {"grouped": REPLACED_DELETED_FIRST},
    {"grouped": ["same"]},
    {"grouped": ["same"]},
)
def two_of_one_name_cannot_be(run: int) -> None:
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/28")
    aws.ec2.SecurityGroup("grouped", name="grouped", vpc_id=vpc.id, description=f"number {min(run, 1)}")


CASES["two_of_one_name_cannot_be"].steps[0]["vpc"] = ["create"]
for _steps in CASES["two_of_one_name_cannot_be"].steps[1:]:
    _steps["vpc"] = ["same"]


@case(
    {"old": ["create"], "old-queue": ["create"], "plain-old": ["create"], "loose": ["create"]},
    {"new": ["same"], "new-queue": ["same"], "plain-new": ["same"], "loose": ["same"]},
    {"new": ["same"], "new-queue": ["same"], "plain-new": ["update"], "loose": ["same"]},
    {"new": ["same"], "new-queue": ["same"], "plain-new": ["same"], "loose": ["same"]},
)
def a_resource_is_known_by_an_earlier_name(run: int) -> None:
    # A component with its children, a resource by its URN, and one that had no parent.
    if run == 0:
        Component("old")
        queue("plain-old")
        queue("loose")
        return
    new = Component("new", opts=Options(aliases=[pulumi.Alias(name="old")]), of="old")
    urn = f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::aws:sqs/queue:Queue::plain-old"
    queue("plain-new", Options(aliases=[urn]), called="plain-old", **({"tags": {"a": "b"}} if run > 1 else {}))
    queue("loose", Options(parent=new, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]))


@case(
    {"component": ["create"], "component-queue": ["create"]},
    {"component": ["update"], "component-queue": ["same"]},
    {"component": ["same"], "component-queue": ["same"]},
    {"component": ["delete"], "component-queue": ["delete"]},
)
def the_inputs_of_a_component_change(run: int) -> None:
    if run < 3:
        Component("component", {"size": min(run, 1)})


@case(
    {"kept": ["create"], "kept-policy": ["create"]},
    {"kept": ["same"], "kept-policy": ["same"]},
    {"kept": ["delete"], "kept-policy": ["delete"]},
    {},
)
def the_cloud_keeps_what_the_program_retains(run: int) -> None:
    if run < 2:
        one = queue("kept", Options(retain_on_delete=True))
        policy("kept-policy", one)


@case({"let-go": ["create"]}, {"let-go": ["same"]}, {"let-go": ["delete"]}, {})
def what_was_protected_goes_once_it_is_not(run: int) -> None:
    if run < 2:
        queue("let-go", Options(protect=run == 0))


@case(
    {"elsewhere": ["create"], "through": ["create"]},
    {"elsewhere": ["same"], "through": ["same"]},
    {"elsewhere": ["same"], "through": ["same"]},
    {"elsewhere": ["delete"], "through": ["same"]},
)
def an_explicit_provider(run: int) -> None:
    # From the default to an explicit one, of which the settings change, and back.
    explicit = aws.Provider("elsewhere", region="eu-central-1", skip_region_validation=run == 2) if run < 3 else None
    queue("through", Options(provider=explicit if run else None))


@case(
    {"nothing": ["create"], "of-nothing": ["create"]},
    {"nothing": ["same"], "of-nothing": ["same"]},
    {"nothing": ["same"], "of-nothing": ["same"]},
    {"nothing": ["same"], "of-nothing": ["same"]},
)
def an_output_that_is_not_given_is_none(run: int) -> None:
    one = queue("nothing")
    never = one.kms_master_key_id
    queue("of-nothing", tags={"said": never.apply(str), "left out": never}, kms_master_key_id=never)
    pulumi.export("none", never.apply(str))


@case(
    {"secretive": ["create"], "secretive-policy": ["create"]},
    {"secretive": ["same"], "secretive-policy": ["same"]},
    {"secretive": ["update"], "secretive-policy": ["same"]},
    {"secretive": ["same"], "secretive-policy": ["same"]},
)
def a_secret_changes(run: int) -> None:
    told = pulumi.Output.secret("whispered" if run < 2 else "shouted")
    one = queue("secretive", Options(additional_secret_outputs=["url"]), tags={"word": told, "open": "b"})
    policy("secretive-policy", one)
    pulumi.export("word", one.tags)


@case(
    {"bucket": ["create"], "object": ["create"]},
    {"bucket": ["same"], "object": ["update"]},
    {"bucket": ["same"], "object": ["same"]},
    {"bucket": ["same"], "object": REPLACED},
)
def the_content_of_an_asset_changes(run: int) -> None:
    bucket = aws.s3.Bucket("bucket", bucket="behaviours-bucket")
    key = "key" if run < 3 else "another"
    aws.s3.BucketObjectv2("object", bucket=bucket.bucket, key=key, source=pulumi.StringAsset(f"content {min(run, 1)}"))


@failing("protected", {})
def a_protected_resource_is_not_deleted(run: int) -> None:
    if run != 1:
        queue("guarded", Options(protect=run == 0))


@failing("protect", {})
def a_protected_resource_is_not_replaced(run: int) -> None:
    queue("guarded-too", Options(protect=run < 2), called="guarded-too" if run != 1 else "other")


@failing("protect", {})
def a_protected_resource_is_not_replaced_along(run: int) -> None:
    one = queue("root", Options(delete_before_replace=True), called="root" if run != 1 else "another")
    policy("guarded-policy", one, Options(protect=run < 2))


@failing("nobody", {"made": ["create"]})
def an_update_that_fails_in_the_middle(run: int) -> None:
    last: list[pulumi.Resource] = [queue("before")]
    if run:
        last.append(queue("made", Options(depends_on=last)))
        role = "nobody" if run == 1 else aws.iam.Role("role", name="behaviours", assume_role_policy=_TRUST).name
        aws.iam.RolePolicy("refused", name="x", role=role, policy=_POLICY, opts=Options(depends_on=last))


_TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "lambda.amazonaws.com"}}]}'
)
_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
