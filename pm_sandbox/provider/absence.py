"""AWS's ways to say that something is not there, of which each service has its own."""

from botocore.exceptions import ClientError

#: Services that say it by their general code of a bad request alone, and the words of the message.
_BAD_REQUESTS = ("InvalidRequestException", "ValidationException", "ValidationError")
_WORDS = ("not found", "recordnotfound", "does not exist", "could not find", "not exist")
_CODES = ("NotFound", "NoSuch", "DoesNotExist", "NonExistent")


def is_absence(error: ClientError) -> bool:
    """Return whether an error of AWS says that the resource is not there."""
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "").lower()
    if code in _BAD_REQUESTS:
        return any(words in message for words in _WORDS)
    return code == "404" or any(part in code for part in _CODES)
