"""Parquet files: the door to pyarrow, and to numpy.

The same rows give the same bytes with the same pyarrow: nothing here is left to its defaults, and nothing tells a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from endpoint_history.analysis.export.datasets import Column, Layout
from endpoint_history.analysis.export.rows import Group, Row
from endpoint_history.io.strict_json import canonical

_ROW_GROUP = 2**17  # rows; a reader of one model skips the groups of others
_DECIMALS = 30
_LAST_PLACE, _WIDE = Decimal(1).scaleb(-_DECIMALS), Context(prec=100)
_KEYS = pa.dictionary(pa.int32(), pa.string())  # what pandas reads as a category
_TYPES: Final[dict[str, Any]] = {
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
    "DECIMAL": pa.decimal128(38, _DECIMALS),  # the widest that DuckDB and Spark know
    "JSON": pa.string(),
    "BOOLEAN": pa.bool_(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "VARCHAR": pa.string(),
}
_NUMBERS: Final = {"TIMESTAMP WITH TIME ZONE", "SMALLINT", "INTEGER", "DOUBLE"}  # each fits a double without loss
# Mostly 100 and few other values; all other doubles hardly repeat.
_REPEATING: Final = {"uptime_5m_pct", "uptime_30m_pct", "min_uptime_pct"}
_UNROUNDED = "unrounded"


def columns_of(layout: Layout) -> list[dict[str, Any]]:
    """The columns of a file, for the manifest."""
    told = [
        {"name": c.name, "type": _told(c), "nullable": c.nullable, "comment": c.comment}
        for c in (*layout.owner, *layout.columns)
    ]
    if _has_decimals(layout):
        comment = (
            f"Decimals that are rounded above, having more than {_DECIMALS} places: exact text by column, as JSON."
        )
        told.append({"name": _UNROUNDED, "type": "JSON", "nullable": True, "comment": comment})
    return told


def write(path: Path, layout: Layout, groups: Iterable[Group]) -> None:
    """Write one file, a row group at a time."""
    schema = _schema(layout)
    doubles = [c.name for c in layout.columns if c.type == "DOUBLE" and c.name not in _REPEATING]
    times = [c.name for c in layout.columns if c.type == "TIMESTAMP WITH TIME ZONE"]
    with pq.ParquetWriter(
        path,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=9,
        use_dictionary=[name for name in schema.names if name not in {*doubles, *times}],
        column_encoding=dict.fromkeys(doubles, "BYTE_STREAM_SPLIT") | dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        store_decimal_as_integer=False,
        write_batch_size=1024,
        data_page_version="1.0",
        data_page_size=2**20,
        dictionary_pagesize_limit=2**20,
    ) as file:
        held: list[Any] = []
        for names, rows in groups:
            for taken in _filling(rows, sum(map(len, held)) % _ROW_GROUP):
                held.append(_batch(schema, layout, names, taken))
                if sum(map(len, held)) == _ROW_GROUP:
                    _add(file, held)
                    held = []
        if held:
            _add(file, held)


def _filling(rows: list[Row], filled: int) -> Iterator[list[Row]]:
    """The rows in pieces: one that fills the row group at hand, then whole ones, then the rest."""
    start, end = 0, _ROW_GROUP - filled
    while start < len(rows):
        yield rows[start:end]
        start, end = end, end + _ROW_GROUP


def _add(file: Any, batches: list[Any]) -> None:
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    file.write_table(table, row_group_size=_ROW_GROUP)


def _told(column: Column) -> str:
    return f"DECIMAL(38,{_DECIMALS})" if column.type == "DECIMAL" else column.type


def _has_decimals(layout: Layout) -> bool:
    return any(column.type == "DECIMAL" for column in layout.columns)


def _schema(layout: Layout) -> Any:
    fields = [pa.field(c.name, _KEYS if c.type == "VARCHAR" else _TYPES[c.type], nullable=False) for c in layout.owner]
    fields += [pa.field(c.name, _TYPES[c.type], nullable=c.nullable) for c in layout.columns]
    if _has_decimals(layout):
        fields.append(pa.field(_UNROUNDED, pa.string()))
    return pa.schema(fields)


def _batch(schema: Any, layout: Layout, names: Row, rows: list[Row]) -> Any:
    keys = [_repeated(name, len(rows), field.type) for name, field in zip(names, schema, strict=False)]
    if all(column.type in _NUMBERS for column in layout.columns):
        values = _from_numbers(layout, rows)
    else:
        by_column = zip(*rows, strict=True) if rows else ((),) * len(layout.columns)
        values = [_array(column, list(given)) for column, given in zip(layout.columns, by_column, strict=True)]
    if _has_decimals(layout):
        values.append(pa.array([_unrounded(layout, row) for row in rows], pa.string()))
    return pa.RecordBatch.from_arrays([*keys, *values], schema=schema)


def _repeated(name: Any, count: int, type_: Any) -> Any:
    if type_ != _KEYS:
        return pa.repeat(pa.scalar(name, type_), count)
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([name], pa.string()))


def _from_numbers(layout: Layout, rows: list[Row]) -> list[Any]:
    """All columns in one step, six times as fast as one by one: the samples are most of all history."""
    numbers = np.array(rows, dtype=np.float64)
    return [_cast(pa.array(numbers[:, at], from_pandas=True), c.type) for at, c in enumerate(layout.columns)]


def _cast(array: Any, type_: str) -> Any:
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return array.cast(pa.int64()).cast(pa.timestamp("s", "UTC")).cast(_TYPES[type_])
    return array.cast(_TYPES[type_])


def _array(column: Column, values: list[Any]) -> Any:
    match column.type:
        case "TIMESTAMP WITH TIME ZONE":
            return _cast(pa.array(values, pa.int64()), column.type)
        case "DATE":
            return pa.array(values, pa.string()).cast(pa.date32())
        case "DECIMAL":
            return pa.array([None if text is None else _rounded(text) for text in values], _TYPES["DECIMAL"])
        case _:
            return pa.array(values, _TYPES[column.type])


def _rounded(text: str) -> Decimal:
    number = Decimal(text)
    return number if _fits(text) else number.quantize(_LAST_PLACE, context=_WIDE)


def _fits(text: str) -> bool:
    return len(text.partition(".")[2]) <= _DECIMALS


def _unrounded(layout: Layout, row: Row) -> str | None:
    exact = {
        column.name: text
        for column, text in zip(layout.columns, row, strict=True)
        if column.type == "DECIMAL" and text is not None and not _fits(text)
    }
    return canonical(exact) if exact else None
