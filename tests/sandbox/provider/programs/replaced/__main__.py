"""Resources that are replaced, each with one that stands on it, in a component that gets another name."""

import json

import pulumi
import pulumi_aws as aws

config = pulumi.Config()


class Plant(pulumi.ComponentResource):
    def __init__(self, name):
        earlier = [pulumi.Alias(name="earlier")]
        super().__init__("replaced:index:Plant", name, None, pulumi.ResourceOptions(aliases=earlier))
        options = pulumi.ResourceOptions(parent=self)
        queue = aws.sqs.Queue("queue", name=config.require("queue"), opts=options)
        aws.sqs.QueuePolicy("queue-policy", queue_url=queue.url, policy=queue.arn.apply(may_send), opts=options)
        parents = {
            parent: aws.iot.ThingGroup(parent, name=f"replaced-{parent}", opts=options) for parent in ("north", "south")
        }
        thing = aws.iot.Thing("thing", name="replaced-thing", opts=options)
        group = aws.iot.ThingGroup(
            "group", name="replaced-group", parent_group_name=parents[config.require("parent")].name, opts=options
        )
        aws.iot.ThingGroupMembership("membership", thing_group_name=group.name, thing_name=thing.name, opts=options)
        self.register_outputs({"url": queue.url})


def may_send(arn):
    principal = {"Service": "events.amazonaws.com"}
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Principal": principal, "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


Plant(config.require("component"))
