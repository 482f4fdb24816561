"""Data sets by their name on the hub, or as the library ``datasets`` saved them on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptdq.errors import UserError, line_of

if TYPE_CHECKING:
    import pandas as pd

_SAVED = ("dataset_dict.json", "state.json")


def read_split(name: str, split: str) -> pd.DataFrame:
    """The rows of one split; labels are the ids that the data set has.

    Args:
        name: on the hub, with a configuration after a colon where it has several (``glue:sst2``); or a
            directory that ``save_to_disk`` wrote.
        split: such as ``test``, or a part of one, ``test[:1000]``.

    Raises:
        UserError: it cannot be read; says why.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"data {name}: data sets by name need the package datasets (pip install datasets)"
        ) from error
    try:
        if any((Path(name) / file).is_file() for file in _SAVED):
            rows = _saved(datasets.load_from_disk(name), name, split)
        else:
            place, _, configuration = name.partition(":")
            rows = datasets.load_dataset(place, configuration or None, split=split)
        frame: pd.DataFrame = rows.to_pandas()
    except UserError:
        raise
    except Exception as error:  # the library and its network have many
        raise UserError(f"data {name}, split {split}: it cannot be read ({line_of(error)})") from error
    return frame


def _saved(data_set: Any, name: str, split: str) -> Any:
    """A split of what was saved, which is one split or several."""
    if not hasattr(data_set, "keys"):
        if str(data_set.split or split) != split:
            raise UserError(f"data {name}: it is the split {data_set.split}, not {split} (--split)")
        return data_set
    if split not in data_set:
        raise UserError(f"data {name}: no split {split}; there are {', '.join(data_set)} (--split)")
    return data_set[split]
