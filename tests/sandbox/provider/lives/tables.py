"""DynamoDB and KMS."""

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, life


@life("aws:dynamodb/table:Table")
def _table(lab: Lab) -> Life:
    return Life(
        {
            "name": lab.name(),
            "hashKey": "id",
            "rangeKey": "at",
            "attributes": [{"name": "id", "type": "S"}, {"name": "at", "type": "N"}],
            "billingMode": "PAY_PER_REQUEST",
            "ttl": {"attributeName": "expires", "enabled": True},
            "pointInTimeRecovery": {"enabled": True},
            "deletionProtectionEnabled": True,
            "serverSideEncryption": {"enabled": True, "kmsKeyArn": lab.key},
            "tags": TAGS,
        },
        {
            "tags": OTHER_TAGS,
            "deletionProtectionEnabled": False,
            "pointInTimeRecovery": {"enabled": False},
            "ttl": {"attributeName": "expires", "enabled": False},
            "serverSideEncryption": {"enabled": False},
            "tableClass": "STANDARD_INFREQUENT_ACCESS",
        },
    )


@life("aws:kms/key:Key")
def _key(lab: Lab) -> Life:
    def policy(sid: str) -> str:
        return allow("kms:*", Sid=sid, Principal={"AWS": "arn:aws:iam::000000000000:root"}, Resource="*")

    return Life(
        {
            "description": "a",
            "policy": policy("a"),
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "tags": TAGS,
        },
        {
            "description": "b",
            "policy": policy("b"),
            "enableKeyRotation": False,
            "deletionWindowInDays": 8,
            "tags": OTHER_TAGS,
        },
        frozenset({"deletionWindowInDays"}),
    )


@life("aws:kms/alias:Alias")
def _alias(lab: Lab) -> Life:
    one, other = (lab.make("aws:kms/key:Key").id for _ in range(2))
    return Life({"name": f"alias/{lab.name()}", "targetKeyId": one}, {"targetKeyId": other})
