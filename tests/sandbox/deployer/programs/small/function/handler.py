"""A handler that answers with its greeting."""

import os


def handle(event, context):
    return {"greeting": os.environ["GREETING"], "event": event}
