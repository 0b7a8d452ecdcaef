"""SNS's e-mail subscriptions: each delivery becomes an `.eml` file for people to open in the cloud's `mail` folder.

A subscription of protocol `email` needs no confirmation here: there is nobody to click on the link.
`GET /_pm/mail` answers `{"written": n, "failed": n}`; a failed write is logged with its reason.
"""

import datetime as dt
import email.policy
import email.utils
import json
import logging
import re
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from ministack.services import sns

from pm_sandbox.cloud import seams

log = logging.getLogger("pm.cloud")

SENDER = "AWS Notifications <no-reply@sns.local>"
DEFAULT_SUBJECT = "AWS Notification Message"
_PROTOCOLS = ("email", "email-json")


@dataclass
class MailFolder:
    """The folder of delivered mails, and how many there are.

    Args:
        directory: made at the first mail.
    """

    directory: Path
    written: int = 0
    failed: int = 0

    def deliver(self, recipient: str, topic_arn: str, message_id: str, subject: str, body: str) -> None:
        """Write one mail; a failure is counted and logged, as the other subscribers must get theirs."""
        at = dt.datetime.now(dt.UTC)
        name = f"{at:%Y%m%dT%H%M%S.%f}Z-{self.written + 1:05d}-{re.sub(r'[^A-Za-z0-9.@-]', '_', recipient)}.eml"
        try:
            content = compose(recipient, topic_arn, message_id, subject, body, at)
            self.directory.mkdir(parents=True, exist_ok=True)
            # Whoever looks for `*.eml` is to find whole mails only, and that matches hidden files too.
            partial = self.directory / f"{name}.partial"
            partial.write_bytes(content)
            partial.replace(self.directory / name)
        except (OSError, ValueError) as error:
            self.failed += 1
            log.error("mail of %s to %s was not written: %s", topic_arn, recipient, error)
            return
        self.written += 1

    async def counts(self, _query: dict[str, list[str]]) -> dict[str, int]:
        """The counters, for the route."""
        return {"written": self.written, "failed": self.failed}


def compose(recipient: str, topic_arn: str, message_id: str, subject: str, body: str, at: dt.datetime) -> bytes:
    """One mail as RFC 5322 bytes.

    Args:
        recipient: the subscription's address.
        topic_arn: the topic that the notification came from; named below the text.
        message_id: the notification's id; makes the Message-ID with the recipient's address.
        subject: empty for SNS's own default.
        body: the text.
        at: the time of the delivery, UTC.

    Returns:
        The mail, lines ended by CRLF.

    Raises:
        ValueError: the recipient or the subject has a line break.
    """
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = SENDER
    mail["To"] = recipient
    mail["Subject"] = subject or DEFAULT_SUBJECT
    mail["Date"] = email.utils.format_datetime(at)
    mail["Message-ID"] = f"<{message_id}.{re.sub(r'[^A-Za-z0-9]', '-', recipient)}@sns.local>"
    mail["X-Topic-Arn"] = topic_arn
    mail.set_content(f"{body}\n\n--\nYou receive this because {recipient} is subscribed to {topic_arn}.\n")
    return mail.as_bytes()


def install() -> None:
    """Deliver SNS's e-mails."""
    fan_out = seams.require(
        sns,
        "_fanout",
        *("topic_arn", "msg_id", "message", "subject", "message_structure"),
        *("message_attributes", "message_group_id", "message_dedup_id"),
    )
    find_topic = seams.require(sns, "_topic_by_arn_any_scope", "topic_arn")
    message_for = seams.require(sns, "_resolve_message_for_protocol", "message", "message_structure", "protocol")
    wanted = seams.require(sns, "_matches_filter_policy", "sub", "message_attributes", "message")
    folder = MailFolder(seams.directory() / "mail")

    def with_mail(
        topic_arn: str,
        msg_id: str,
        message: str,
        subject: str,
        message_structure: str = "",
        message_attributes: dict[str, Any] | None = None,
        message_group_id: str = "",
        message_dedup_id: str = "",
    ) -> None:
        fan_out(
            topic_arn,
            msg_id,
            message,
            subject,
            message_structure,
            message_attributes,
            message_group_id,
            message_dedup_id,
        )
        for subscription in (find_topic(topic_arn) or {}).get("subscriptions", []):
            protocol = subscription["protocol"]
            if protocol not in _PROTOCOLS or not subscription["confirmed"]:
                continue
            text = message_for(message, message_structure, protocol)
            if not wanted(subscription, message_attributes or {}, text):
                continue
            if protocol == "email-json":
                envelope = {"Type": "Notification", "MessageId": msg_id, "TopicArn": topic_arn, "Message": text}
                text = json.dumps(envelope | ({"Subject": subject} if subject else {}), indent=2)
            folder.deliver(subscription["endpoint"], topic_arn, msg_id, subject, text)

    sns._fanout = with_mail
    seams.routes["/_pm/mail"] = folder.counts
