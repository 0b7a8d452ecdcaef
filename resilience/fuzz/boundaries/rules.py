"""Messages that AWS IoT's rules are held against, in the emulated cloud's SQL."""

from pathlib import Path

from resilience.fuzz.boundary import Boundary, Opened


def _rules(_folder: Path) -> Opened:
    from ministack.services import iot

    from pm_contracts.messages import encode
    from pm_contracts.tables import TABLES
    from pm_sandbox.cloud.extensions import rules
    from resilience.fuzz.samples import messages

    statements = [sql for table in TABLES for sql in table.rule_statements.values()]
    statements.append("SELECT *, topic(2) AS site, timestamp() AS at FROM 'pm/+/+/reading' WHERE site = topic(2)")
    parsed = [(sql, rules._parse(sql)) for sql in statements]

    def door(content: bytes) -> None:
        message = rules._decode(content)
        for sql, rule in parsed:
            topic = rule.filter.replace("+", "lindau", 1).replace("+", "air-1")
            if rule.where:
                iot._eval_where(rule.where, topic, content, message, "lindau-core-uplink")
            if not rule.whole_message:
                iot._rule_event(sql, topic, content, "lindau-core-uplink", message=message)

    return Opened(door, [encode(message) for message in messages()])


BOUNDARIES = (Boundary("iot_rules", _rules, 0.3),)
