"""Ways in. Not proved here: network access control lists and load balancers."""

from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_ARRAY_VALUE, UNKNOWN_STRING_VALUE

from pm_policies.rule import Undecided
from pm_policies.rules.no_inbound_rule import RULE

GROUP = "aws:ec2/securityGroup:SecurityGroup"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"


def test_a_group_that_lets_nothing_in_passes(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(GROUP, egress=[{"fromPort": 443}])) == []
    assert messages(RULE, make(GROUP, ingress=[])) == []
    assert messages(RULE, make(OLD_RULE, type="egress")) == []
    assert messages(RULE, make("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")) == []


@pytest.mark.parametrize("type_", [GROUP, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"])
def test_a_group_with_a_way_in_is_refused(make: Callable, messages: Callable, type_: str) -> None:
    assert messages(RULE, make(type_, ingress=[{"fromPort": 22}])) == ["ingress is set, allowed is none"]


def test_a_rule_of_its_own_is_refused(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(OLD_RULE, type="ingress")) == ["type is ingress, allowed is egress"]
    ingress = make("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", cidrIpv4=UNKNOWN_STRING_VALUE)
    assert messages(RULE, ingress) == ["it is an ingress rule, allowed is none"]


def test_unknown_ways_in_are_undecided(make: Callable, messages: Callable) -> None:
    for resource in (make(GROUP, ingress=UNKNOWN_ARRAY_VALUE), make(OLD_RULE, type=UNKNOWN_STRING_VALUE)):
        (message,) = messages(RULE, resource)
        assert isinstance(message, Undecided)
