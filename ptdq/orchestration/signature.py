"""A flow's signature from its model of parameters: one parameter of the flow for each field.

So Prefect's form has a field for each, and ``prefect deployment run … --param limit=800`` changes one
and keeps the others of the deployment. Deployments made before gave all of them as one object, named
``parameters``; that is read as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from itertools import dropwhile
from typing import Annotated, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ptdq.errors import UserError
from ptdq.orchestration.failures import failed
from ptdq.parameters import validated

NESTED = "parameters"
_MEANING = "The old form: all of the above in one object. What is given above goes before it."


def flat(kind: type[BaseModel]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a function whose first argument is the model ``kind`` the fields of it as arguments.

    All arguments are keywords. Values that are wrong end the flow as Failed, with one line.

    Args:
        kind: model of the parameters.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def flow(**given: Any) -> Any:
            rest = {parameter.name: given[parameter.name] for parameter in own if parameter.name in given}
            try:
                parameters = validated(kind, _values(kind, given))
            except UserError as error:
                return failed(error)
            return function(parameters, **rest)

        for name in ("__module__", "__name__", "__qualname__"):
            setattr(flow, name, getattr(function, name))
        flow.__signature__ = _signature(kind, own)  # type: ignore[attr-defined]
        flow.__doc__ = _doc(kind, function)
        return flow

    return decorate


def given_values(kind: type[BaseModel], flow_run: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a flow run's parameters that are those of the model, in either form."""
    return _values(kind, flow_run)


def _values(kind: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the model: the nested ones, and over them those that are not the default."""
    nested = given.get(NESTED) or {}
    values = dict(nested if isinstance(nested, Mapping) else nested.model_dump())
    for name, field in kind.model_fields.items():
        if name in given and (name not in values or given[name] != field.get_default()):
            if field.is_required() and given[name] is None:
                continue
            values[name] = given[name]
    return values


def _signature(kind: type[BaseModel], own: list[inspect.Parameter]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            name,
            keyword,
            # Those that are required may be in the nested form.
            default=None if field.is_required() else field.get_default(),
            annotation=_annotation(field),
        )
        for name, field in kind.model_fields.items()
    ]
    nested = inspect.Parameter(NESTED, keyword, default=None, annotation=dict[str, Any] | None)
    return inspect.Signature([*parameters, *(p.replace(kind=keyword) for p in own), nested])


def _annotation(field: FieldInfo) -> Any:
    """The type of a field with its constraints; of one that is required, or none."""
    kind = field.annotation | None if field.is_required() else field.annotation  # type: ignore[operator]
    return Annotated[(kind, *field.metadata)] if field.metadata else kind


def _doc(kind: type[BaseModel], function: Callable[..., Any]) -> str:
    """The function's docstring, in which the model's fields stand for its first argument."""
    story, _, arguments = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:\n")
    _, *own = arguments.splitlines()
    own = list(dropwhile(lambda line: line.startswith(" " * 8), own))
    fields = [f"    {name}: {field.description}" for name, field in kind.model_fields.items()]
    return "\n".join([story, "Args:", *fields, *own, f"    {NESTED}: {_MEANING}"])
