"""AWS IoT's registry: things, their types, their groups."""

from typing import Any

from pm_sandbox.provider.changes import changed
from pm_sandbox.provider.handlers.iot_tags import iot_tags, update_iot_tags
from pm_sandbox.provider.inputs import Inputs, tag_list, told
from pm_sandbox.provider.registry import Context, Made, Renewal, deletes, handles, reads, updates


@handles("aws:iot/thing:Thing")
def thing(inputs: Inputs, context: Context) -> Made:
    """A thing with its type and attributes."""
    name = inputs.need("name")
    made = context.client("iot").create_thing(
        thingName=name,
        attributePayload={"attributes": inputs.get("attributes", {})},
        **inputs.renamed(thingTypeName="thingTypeName"),
    )
    return name, {"arn": made["thingArn"], "defaultClientId": name, "version": 1}


@reads("aws:iot/thing:Thing")
def read_thing(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A thing."""
    found = context.client("iot").describe_thing(thingName=id_)
    attributes = found.get("attributes", {})
    return {"name": id_, "attributes": attributes, **told(found, thingTypeName="thingTypeName")}


@updates("aws:iot/thing:Thing", renews={"version": Renewal(("attributes", "thingTypeName"))})
def update_thing(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A thing's attributes, all at once, and its type."""
    client, arguments = context.client("iot"), {}
    if changed(olds, news, "attributes"):
        arguments["attributePayload"] = {"attributes": news.get("attributes", {}), "merge": False}
    if changed(olds, news, "thingTypeName"):
        arguments |= news.renamed(thingTypeName="thingTypeName") or {"removeThingType": True}
    if arguments:
        client.update_thing(thingName=id_, **arguments)
        return {"version": client.describe_thing(thingName=id_)["version"]}
    return {}


@deletes("aws:iot/thing:Thing")
def delete_thing(id_: str, state: dict[str, Any], context: Context) -> None:
    """A thing, unless a certificate is attached to it. AWS says nothing of one that is not there."""
    context.client("iot").delete_thing(thingName=id_)


@handles("aws:iot/thingType:ThingType")
def thing_type(inputs: Inputs, context: Context) -> Made:
    """A thing type."""
    name = inputs.need("name")
    arguments: dict[str, Any] = {}
    if properties := inputs.block("properties"):
        arguments["thingTypeProperties"] = properties.renamed(
            description="thingTypeDescription", searchableAttributes="searchableAttributes"
        )
    made = context.client("iot").create_thing_type(thingTypeName=name, tags=tag_list(inputs), **arguments)
    return name, {"arn": made["thingTypeArn"]}


@reads("aws:iot/thingType:ThingType")
def read_thing_type(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A thing type."""
    found = context.client("iot").describe_thing_type(thingTypeName=id_)
    properties = told(
        found.get("thingTypeProperties", {}),
        description="thingTypeDescription",
        searchableAttributes="searchableAttributes",
    )
    return {"name": id_, "properties": properties, "tags": iot_tags(context, found["thingTypeArn"])}


@updates("aws:iot/thingType:ThingType")
def update_thing_type(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A thing type's tags."""
    update_iot_tags(olds, news, context)
    return {}


@deletes("aws:iot/thingType:ThingType")
def delete_thing_type(id_: str, state: dict[str, Any], context: Context) -> None:
    """A thing type, which must be deprecated first; AWS has one wait for five minutes in between, the sandbox not."""
    client = context.client("iot")
    client.deprecate_thing_type(thingTypeName=id_)
    client.delete_thing_type(thingTypeName=id_)


@handles("aws:iot/thingGroup:ThingGroup")
def thing_group(inputs: Inputs, context: Context) -> Made:
    """A thing group."""
    name = inputs.need("name")
    arguments: dict[str, Any] = inputs.renamed(parentGroupName="parentGroupName")
    if properties := _group_properties(inputs):
        arguments["thingGroupProperties"] = properties
    made = context.client("iot").create_thing_group(thingGroupName=name, tags=tag_list(inputs), **arguments)
    return name, {"arn": made["thingGroupArn"], "version": 1}


@reads("aws:iot/thingGroup:ThingGroup")
def read_thing_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A thing group."""
    found = context.client("iot").describe_thing_group(thingGroupName=id_)
    properties = found.get("thingGroupProperties", {})
    answer = told(properties, description="thingGroupDescription")
    if "attributePayload" in properties:
        answer["attributePayload"] = told(properties["attributePayload"], attributes="attributes")
    parent = found.get("thingGroupMetadata", {}).get("parentGroupName")
    tags = iot_tags(context, found["thingGroupArn"])
    return {"name": id_, "parentGroupName": parent, "properties": answer, "tags": tags}


@updates("aws:iot/thingGroup:ThingGroup", renews={"version": Renewal(("properties",))})
def update_thing_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A thing group's description and attributes, and its tags."""
    outputs = {}
    if changed(olds, news, "properties"):
        answer = context.client("iot").update_thing_group(
            thingGroupName=id_, thingGroupProperties=_group_properties(news)
        )
        outputs["version"] = answer["version"]
    update_iot_tags(olds, news, context)
    return outputs


@deletes("aws:iot/thingGroup:ThingGroup")
def delete_thing_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A thing group, unless it has children; its members stay. AWS says nothing of one that is not there."""
    context.client("iot").delete_thing_group(thingGroupName=id_)


def _group_properties(inputs: Inputs) -> dict[str, Any]:
    properties = inputs.block("properties")
    if properties is None:
        return {}
    answer: dict[str, Any] = properties.renamed(description="thingGroupDescription")
    if payload := properties.block("attributePayload"):
        answer["attributePayload"] = payload.renamed(attributes="attributes")
    return answer


@handles("aws:iot/thingGroupMembership:ThingGroupMembership")
def thing_group_membership(inputs: Inputs, context: Context) -> Made:
    """A thing's membership of a group."""
    group, name = inputs.need("thingGroupName"), inputs.need("thingName")
    context.client("iot").add_thing_to_thing_group(
        thingGroupName=group, thingName=name, **inputs.renamed(overrideDynamicGroup="overrideDynamicGroups")
    )
    return f"{group}/{name}", {}


@reads("aws:iot/thingGroupMembership:ThingGroupMembership")
def read_thing_group_membership(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A membership, if it is."""
    group, name = state["thingGroupName"], state["thingName"]
    pages = context.client("iot").get_paginator("list_thing_groups_for_thing").paginate(thingName=name)
    groups = {found["groupName"] for page in pages for found in page["thingGroups"]}
    return {"thingGroupName": group, "thingName": name} if group in groups else None


@deletes("aws:iot/thingGroupMembership:ThingGroupMembership")
def delete_thing_group_membership(id_: str, state: dict[str, Any], context: Context) -> None:
    """A membership; thing and group stay."""
    context.client("iot").remove_thing_from_thing_group(
        thingGroupName=state["thingGroupName"], thingName=state["thingName"]
    )
