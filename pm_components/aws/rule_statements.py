"""AWS IoT SQL of the rules of a stack, which hear its own sites and nobody else's."""

from collections.abc import Sequence

from pm_contracts import topics

_ANY_SITE = f"'{topics.ROOT}/+/"


def of_sites(statement: str, sites: Sequence[str]) -> str:
    """`statement`, a SELECT from a topic of any site, held to `sites`.

    Rules of all stacks of an account and region hear the same topics: without it a stack would keep, count and tell
    what is another's. One site is named in the topic; of several the topic's second level is looked at.

    Args:
        statement: its topic filter begins with `pm/+/`, and its conditions are joined by AND.
        sites: whose messages it is to take.
    """
    if len(sites) == 1:
        return statement.replace(_ANY_SITE, f"'{topics.ROOT}/{sites[0]}/", 1)
    joined = "AND" if " WHERE " in statement else "WHERE"
    return f"{statement} {joined} regexp_matches(topic(2), '^({'|'.join(sorted(sites))})$')"
