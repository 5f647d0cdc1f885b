"""What a page was asked for, checked before anything begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from workflows.errors import UsageError

Asked = TypeVar("Asked", bound=BaseModel)


def checked(model: type[Asked], fields: Mapping[str, Any], saying: str = "") -> Asked:
    """Return the request with these fields. Raises UsageError, which begins with `saying`, if one is out of range."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UsageError(f"{saying}{problems}.", "Correct it and try again.") from error
