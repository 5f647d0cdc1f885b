"""What Prefect's server needs to do its work with the other libraries that are installed."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from sqlalchemy import inspect


def let_scheduled_runs_be_inserted() -> None:
    """Have Prefect 3.8's scheduling service work with SQLAlchemy 2.1, where no schedule would ever fire.

    It inserts many flow runs at once from mappings that also hold `state`, a hybrid property that is stored by a
    statement of its own afterwards. SQLAlchemy 2.0 passed over such keys; 2.1 refuses them unless the property says
    what they mean for the columns: nothing.
    """
    from prefect.server.database import orm_models

    for model in (orm_models.FlowRun, orm_models.TaskRun):
        mapper: Any = inspect(model)
        state = mapper.all_orm_descriptors["state"]
        if getattr(state, "bulk_dml_setter", "not before 2.1") is None:
            state.inplace.bulk_dml(_means_no_column)


def _means_no_column(_model: type[Any], _mapping: MutableMapping[str, Any], _value: Any) -> None:
    pass
