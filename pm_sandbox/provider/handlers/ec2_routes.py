"""EC2: the routes of a network."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of
from pm_sandbox.provider.handlers.ec2_tags import tagged, update_ec2_tags
from pm_sandbox.provider.inputs import Inputs
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates


@handles("aws:ec2/routeTable:RouteTable")
def route_table(inputs: Inputs, context: Context) -> Made:
    """A table of routes to gateways."""
    client = context.client("ec2")
    made = client.create_route_table(VpcId=inputs.need("vpcId"), **tagged(inputs, "route-table"))["RouteTable"]
    for route in inputs.blocks("routes"):
        client.create_route(
            RouteTableId=made["RouteTableId"],
            DestinationCidrBlock=route.need("cidrBlock"),
            GatewayId=route.need("gatewayId"),
        )
    return made["RouteTableId"], {"arn": context.arn("ec2", f"route-table/{made['RouteTableId']}")}


@reads("aws:ec2/routeTable:RouteTable")
def read_route_table(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A table with the routes that are not the network's own."""
    for found in context.client("ec2").describe_route_tables(RouteTableIds=[id_])["RouteTables"]:
        routes = [
            {"cidrBlock": route["DestinationCidrBlock"], "gatewayId": route["GatewayId"]}
            for route in found["Routes"]
            if route.get("GatewayId", "local") != "local"
        ]
        return {"vpcId": found["VpcId"], "routes": routes, "tags": tags_of(found.get("Tags"))}
    return None


@updates("aws:ec2/routeTable:RouteTable")
def update_route_table(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A table's routes, each replaced as a whole, and tags."""
    client = context.client("ec2")
    if changed(olds, news, "routes"):
        for old in olds.get("routes", []):
            client.delete_route(RouteTableId=id_, DestinationCidrBlock=old["cidrBlock"])
        for route in news.blocks("routes"):
            block, gateway = route.need("cidrBlock"), route.need("gatewayId")
            client.create_route(RouteTableId=id_, DestinationCidrBlock=block, GatewayId=gateway)
    update_ec2_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/routeTable:RouteTable")
def delete_route_table(id_: str, state: dict[str, Any], context: Context) -> None:
    """A table, unless a subnet has it."""
    context.client("ec2").delete_route_table(RouteTableId=id_)


@handles("aws:ec2/routeTableAssociation:RouteTableAssociation")
def route_table_association(inputs: Inputs, context: Context) -> Made:
    """The routes of a subnet."""
    made = context.client("ec2").associate_route_table(
        RouteTableId=inputs.need("routeTableId"), SubnetId=inputs.need("subnetId")
    )
    return made["AssociationId"], {}


@reads("aws:ec2/routeTableAssociation:RouteTableAssociation")
def read_route_table_association(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """The routes of a subnet, if it has any of its own."""
    found = _association(state["subnetId"], context)
    return {"subnetId": state["subnetId"], "routeTableId": found["RouteTableId"]} if found else None


@updates("aws:ec2/routeTableAssociation:RouteTableAssociation")
def update_route_table_association(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Other routes, without a time of none; AWS gives the association another id, so it is found by its subnet."""
    found = _association(news.need("subnetId"), context)
    if found and changed(olds, news, "routeTableId"):
        context.client("ec2").replace_route_table_association(
            AssociationId=found["RouteTableAssociationId"], RouteTableId=news.need("routeTableId")
        )
    return {}


@deletes("aws:ec2/routeTableAssociation:RouteTableAssociation")
def delete_route_table_association(id_: str, state: dict[str, Any], context: Context) -> None:
    """Back to the routes of the network."""
    if found := _association(state["subnetId"], context):
        context.client("ec2").disassociate_route_table(AssociationId=found["RouteTableAssociationId"])


def _association(subnet_id: str, context: Context) -> dict[str, Any] | None:
    filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
    tables = context.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    for table in tables:
        for found in table["Associations"]:
            if found.get("SubnetId") == subnet_id:
                return {**found, "RouteTableId": table["RouteTableId"]}
    return None
