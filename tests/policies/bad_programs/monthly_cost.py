"""A dashboard for each machine of a development stack."""

import pulumi_aws as aws

for number in range(40):
    aws.cloudwatch.Dashboard(f"machine-{number}", dashboard_name=f"machine-{number}", dashboard_body='{"widgets": []}')
