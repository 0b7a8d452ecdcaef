"""E-mails of SNS as files, through boto3 against the running emulator.

Does not prove that AWS would deliver the mail: there the subscriber must first confirm.
"""

import email
import email.policy
import json
import uuid
from email.message import EmailMessage
from pathlib import Path

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.cloud.extensions.mail import MailFolder


@pytest.fixture
def topic(cloud: Cloud) -> str:
    return str(cloud.client("sns").create_topic(Name=f"alerts-{uuid.uuid4().hex[:8]}")["TopicArn"])


def mails_to(cloud: Cloud, recipient: str) -> list[EmailMessage]:
    folder = cloud.directory / "mail"
    parsed = [
        email.message_from_bytes(p.read_bytes(), policy=email.policy.default) for p in sorted(folder.glob("*.eml"))
    ]
    return [mail for mail in parsed if isinstance(mail, EmailMessage) and mail["To"] == recipient]


def test_a_notification_becomes_a_readable_mail(cloud: Cloud, topic: str) -> None:
    recipient = f"{uuid.uuid4().hex[:8]}@example.com"
    arn = cloud.client("sns").subscribe(
        TopicArn=topic, Protocol="email", Endpoint=recipient, ReturnSubscriptionArn=True
    )
    assert arn["SubscriptionArn"].startswith(topic)
    before = cloud.get("/_pm/mail")
    body = "Machine 4 in Lindau: 95 % fault.\nLüftung prüfen."
    sent = cloud.client("sns").publish(TopicArn=topic, Subject="Fault at machine-04", Message=body)
    [mail] = mails_to(cloud, recipient)
    assert mail["Subject"] == "Fault at machine-04"
    assert mail["From"].addresses[0].addr_spec == "no-reply@sns.local"
    assert mail["Date"].datetime is not None
    assert sent["MessageId"] in mail["Message-ID"]
    assert mail.get_content().splitlines()[:2] == body.splitlines()
    assert topic in mail.get_content()
    # Other tests' mails may come at the same time.
    after = cloud.get("/_pm/mail")
    assert after["written"] > before["written"]
    assert after["failed"] == before["failed"]


def test_each_subscriber_gets_what_its_filter_lets_through(cloud: Cloud, topic: str) -> None:
    sns = cloud.client("sns")
    everyone, filtered = (f"{uuid.uuid4().hex[:8]}@example.com" for _ in range(2))
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=everyone)
    sns.subscribe(
        TopicArn=topic,
        Protocol="email-json",
        Endpoint=filtered,
        Attributes={"FilterPolicy": json.dumps({"severity": ["critical"]})},
    )
    for severity in ("info", "critical"):
        attributes = {"severity": {"DataType": "String", "StringValue": severity}}
        sns.publish(TopicArn=topic, Message=f"it is {severity}", MessageAttributes=attributes)
    assert len(mails_to(cloud, everyone)) == 2
    [mail] = mails_to(cloud, filtered)
    assert json.JSONDecoder().raw_decode(mail.get_content())[0]["Message"] == "it is critical"
    assert mail["Subject"] == "AWS Notification Message"


def test_nobody_finds_half_a_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Path] = []
    replace = Path.replace

    def look_and_replace(self: Path, target: Path) -> Path:
        assert self.exists()
        found.extend(tmp_path.glob("*.eml"))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look_and_replace)
    MailFolder(tmp_path).deliver("ada@example.com", "arn:aws:sns:eu-central-1:000000000000:t", "id", "subject", "text")
    assert found == []
    assert [path.suffix for path in tmp_path.iterdir()] == [".eml"]


def test_a_mail_that_cannot_be_written_is_counted_and_hurts_nobody(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")
    folder = MailFolder(tmp_path / "mail")
    folder.deliver("a@example.com", "arn:aws:sns:eu-central-1:000000000000:t", "1", "subject", "body")
    assert (folder.written, folder.failed) == (0, 1)
    other = MailFolder(tmp_path / "other")
    other.deliver("a@example.com", "arn:aws:sns:eu-central-1:000000000000:t", "1", "two\r\nlines", "body")
    other.deliver("a@example.com", "arn:aws:sns:eu-central-1:000000000000:t", "2", "one line", "body")
    assert (other.written, other.failed, len(list(other.directory.iterdir()))) == (1, 1, 1)
