"""A key that stays the same for ever."""

import pulumi_aws as aws

aws.kms.Key("key", description="Encrypts", enable_key_rotation=False)
