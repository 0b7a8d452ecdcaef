"""The variables of every function: "Defined runtime environment variables", AWS Lambda developer guide."""

import pytest


@pytest.fixture(autouse=True)
def function_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that counts are written under."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "pm-test-function")
