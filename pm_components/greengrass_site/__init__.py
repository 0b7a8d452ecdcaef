"""A site: things and groups, policies, edge components and their deployment, enrolment, a host on EC2."""
