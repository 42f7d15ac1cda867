"""What boto3 raises, as errors of stores: what can be tried again, what somebody else did, what is not allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from urllib3.exceptions import HTTPError

from models.errors import NotStoredError, StoreConflictError, StoreError, StoreUnavailableError

_MISSING = ("NoSuchKey", "404", "NotFound")
_CONFLICT = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_BUSY = ("SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "RequestTimeTooSkewed", "BadDigest")


class DeniedError(StoreError):
    """The credentials do not allow it. S3 says so of what is not there, too, to whoever may not list everything."""


@contextmanager
def in_words(name: str) -> Iterator[None]:
    """Errors inside name the object, and say no more of the request than AWS does."""
    try:
        yield
    except ClientError as error:
        raise _meant(name, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StoreError(
            f"{name}: there are no credentials; give them as for AWS's own tools (a role, AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        ) from error
    except (BotoCoreError, HTTPError) as error:
        raise StoreUnavailableError(f"{name}: {' '.join(str(error).split())}") from error


def _meant(name: str, error: ClientError) -> StoreError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    words = f"{name}: {error.response.get('Error', {}).get('Message') or code} ({error.operation_name}, {status})"
    if code in _MISSING:
        return NotStoredError(f"{name} is not there")
    if code in _CONFLICT:
        return StoreConflictError(words)
    if status >= 500 or status == 429 or code in _BUSY:
        return StoreUnavailableError(words)
    if status == 403:
        return DeniedError(f"{words}: do the credentials allow it?")
    return StoreError(words)
