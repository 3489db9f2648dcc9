"""Statements that are compiled once a process and run by the database's driver itself.

SQLAlchemy prepares each execution anew, which takes several times as long as the database does.
That is for the few statements that every vote and every picture need; all others are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Select, UpdateBase

_Convert = Callable[[Any], Any]


@dataclass
class _Compiled:
    """A statement as one kind of database takes it."""

    text: str
    names: tuple[str, ...] | None
    """The parameters in their order; None where the driver takes them by name."""
    fixed: dict[str, Any]
    to_driver: tuple[tuple[str, _Convert], ...]
    from_driver: tuple[tuple[int, _Convert], ...] | None = None
    """Known from the first answer on: some depend on the database's own type of a column."""


class Prepared:
    """A statement with its parameters' and its columns' types; safe to share between threads."""

    def __init__(self, statement: Select[Any] | UpdateBase, columns: Iterable[str] = ()) -> None:
        """``columns`` are those that an INSERT fills."""
        self._statement, self._columns = statement, tuple(columns)
        self._selected = statement.selected_columns if isinstance(statement, Select) else ()
        self._compiled: dict[str, _Compiled] = {}

    def first(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row of a SELECT; None where there is none. Raises as `run`."""
        rows = self.run(connection, values)
        return rows[0] if rows else None

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a SELECT; of any other statement none.

        ``values`` may have more than the parameters. Within a transaction it is part of that.
        Raises what SQLAlchemy raises.
        """
        own = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        given = {**own.fixed, **values}
        for name, convert in own.to_driver:
            given[name] = convert(given[name])
        sent = given if own.names is None else [given[name] for name in own.names]
        driver: Any = connection.connection.driver_connection
        try:
            cursor = driver.execute(own.text, sent)
            if not self._selected:
                return []
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        except Exception as error:
            # it names the error and gives up a connection that is broken
            connection._handle_dbapi_exception(error, own.text, None, None, None)
        if own.from_driver is None:
            own.from_driver = self._from_driver(connection.dialect, cursor.description)
        return [_converted(row, own.from_driver) for row in rows] if own.from_driver else rows

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled: Any = self._statement.compile(
            dialect=dialect, column_keys=list(self._columns) or None
        )
        binds, names = compiled.binds, compiled.positiontup
        to_driver = (
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bind in binds.items()
        )
        made = self._compiled[dialect.name] = _Compiled(
            text=compiled.string,
            names=None if names is None else tuple(names),
            fixed={name: bind.value for name, bind in binds.items() if not bind.required},
            to_driver=tuple((name, convert) for name, convert in to_driver if convert),
        )
        return made

    def _from_driver(
        self, dialect: Dialect, described: Sequence[Sequence[Any]]
    ) -> tuple[tuple[int, _Convert], ...]:
        converts = (
            column.type.dialect_impl(dialect).result_processor(dialect, own[1])
            for column, own in zip(self._selected, described, strict=True)
        )
        return tuple((number, convert) for number, convert in enumerate(converts) if convert)


def _converted(row: tuple[Any, ...], converts: tuple[tuple[int, _Convert], ...]) -> tuple[Any, ...]:
    cells = list(row)
    for number, convert in converts:
        cells[number] = convert(cells[number])
    return tuple(cells)
