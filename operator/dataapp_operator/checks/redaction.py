"""What is shown of an app's words goes through the redaction that all layers share."""

from dataapp_operator.api.redaction import HIDDEN, redact

__all__ = ["HIDDEN", "redact"]
