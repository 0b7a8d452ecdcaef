"""The cost estimate: its sums, what it leaves out, and that each price has a source.

Not proved here: the prices, which are copied from AWS's pages and do not follow them, and the assumed use.
"""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies import prices
from pm_policies.costs import HOURS, REGIONAL_SURCHARGE, Usage, estimate
from pm_policies.prices import INSTANCE_HOURS, PRICES

HOST = "aws:ec2/instance:Instance"


def test_the_sum_is_that_of_the_lines_with_the_surcharge(make: Callable) -> None:
    found = estimate([make("aws:kms/key:Key"), make(HOST, instanceType="t3.micro", rootBlockDevice={"volumeSize": 10})])
    host = HOURS * 0.0104 + 10 * 0.08
    assert found.total_usd == pytest.approx((1 + host) * REGIONAL_SURCHARGE)
    assert [item.what for item in found.largest(1)] == ["Instance one"]
    assert found.unpriced == []


def test_a_group_costs_what_its_one_instance_does(make: Callable) -> None:
    template = make(
        "aws:ec2/launchTemplate:LaunchTemplate",
        instanceType="t3.micro",
        networkInterfaces=[{"associatePublicIpAddress": "true"}],
        blockDeviceMappings=[{"ebs": {"volumeSize": 16}}],
    )
    one = estimate([template, make("aws:autoscaling/group:Group", maxSize=1)])
    assert one.total_usd == pytest.approx((HOURS * (0.0104 + 0.005) + 16 * 0.08) * REGIONAL_SURCHARGE)
    assert one.unpriced == []
    more = make("aws:autoscaling/group:Group", maxSize=3)
    assert dict(estimate([template, more]).unpriced) == {
        more.urn: "a group of up to 3 instances is not estimated, only one of 1"
    }


def test_a_core_device_is_counted_once_whatever_groups_it_is_in(make: Callable) -> None:
    membership = "aws:iot/thingGroupMembership:ThingGroupMembership"
    members = [make(membership, f"{name}-{group}", thingName=name) for name in "ab" for group in ("code", "model")]
    (item,) = estimate(members).items
    assert (item.what, item.usd) == ("core devices", pytest.approx(2 * 0.16 * REGIONAL_SURCHARGE))


def test_messages_grow_with_the_things(make: Callable) -> None:
    def usd(count: int) -> float:
        rule = make("aws:iot/topicRule:TopicRule")
        return estimate([rule, *(make("aws:iot/thing:Thing", str(number)) for number in range(count))]).total_usd

    assert usd(0) == 0
    assert usd(100) == pytest.approx(100 * usd(1))
    assert usd(1) == pytest.approx(4 * HOURS * 1.3e-6 * REGIONAL_SURCHARGE)


def test_a_training_job_is_taken_to_run_for_as_long_as_it_may(make: Callable) -> None:
    job = {
        "Parameters": {
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
        }
    }
    definition = json.dumps({"States": {"Both": {"Branches": [{"States": {"Train": job}}]}}})
    usage = Usage(training_runs=1, transitions_per_run=0)
    (item,) = estimate([make("aws:sfn/stateMachine:StateMachine", definition=definition)], usage).items
    assert item.usd == pytest.approx(2 * 0.5 * 0.23 * REGIONAL_SURCHARGE)


def test_what_has_no_price_or_no_size_is_named(make: Callable) -> None:
    resources = [
        make(HOST, "unknown", instanceType=UNKNOWN),
        make(HOST, "huge", instanceType="u-24tb1.metal"),
        make("aws:rds/instance:Instance", "database"),
        make("aws:dynamodb/table:Table", "table", billingMode="PROVISIONED"),
    ]
    found = estimate(resources)
    assert found.items == []
    assert dict(found.unpriced) == {
        resources[0].urn: "instanceType is not known yet",
        resources[1].urn: "no price for instance type u-24tb1.metal",
        resources[2].urn: "no price for aws:rds/instance:Instance",
        resources[3].urn: "provisioned capacity is not estimated",
    }


def test_components_and_what_is_free_cost_nothing(make: Callable) -> None:
    found = estimate([make("pm:index:AnalyticsStore"), make("aws:iam/role:Role"), make("pulumi:providers:aws")])
    assert (found.items, found.unpriced) == ([], [])


def test_each_price_has_a_unit_and_a_page_of_aws() -> None:
    for price in (*PRICES.values(), *INSTANCE_HOURS.values()):
        assert 0 < price.usd < 10
        assert price.unit
        assert price.source.startswith("https://aws.amazon.com/")
        assert "pricing" in price.source


def test_every_price_says_what_it_was_compared_with_and_when() -> None:
    dt.date.fromisoformat(prices.COMPARED_ON)
    sources = (prices.PRICE_LIST, prices.QUOTED_PAGE, prices.OTHERS, prices.NOTHING)
    names = [name for source in sources for name in prices.compared_with(source)]
    assert len(names) == len(set(names)) == len(PRICES) + len(INSTANCE_HOURS)
    assert len(prices.compared_with(prices.PRICE_LIST)) >= 15
    assert prices.compared_with(prices.NOTHING) == ["iot rule", "iot action", "firehose partitioning"]


@pytest.mark.parametrize("field", [field for field in Usage._fields if "volume" not in field])
def test_no_assumption_of_use_is_negative(field: str) -> None:
    assert Usage._field_defaults[field] > 0
