"""Prepared statements give what SQLAlchemy gives, and fail as it fails."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from sreval.store.models import Base, Vote
from sreval.store.prepared import Prepared
from tests.store.conftest import Study

_VOTES = Vote.metadata.tables["vote"]


def test_rows_are_those_that_sqlalchemy_itself_reads(study: Study) -> None:
    session = study.rating()
    study.vote(session, 1)
    study.vote(session, 2)
    with study.store.read() as tx:
        for table in Base.metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key)
            prepared = Prepared(query)
            for _ in range(2):  # the types of the columns are known after the first
                rows = prepared.run(tx.connection(), {})
                assert rows == [tuple(row) for row in tx.execute(query)], table.name
        own = Prepared(select(_VOTES.c.position).where(_VOTES.c.session_id == bindparam("session")))
        assert own.first(tx.connection(), {"session": session}) in ((1,), (2,))
        assert own.first(tx.connection(), {"session": "nobody"}) is None


def test_a_row_is_stored_as_sqlalchemy_stores_it_and_a_second_one_refused(study: Study) -> None:
    session = study.rating()
    study.vote(session, 1)
    with study.store.read() as tx:
        first = tx.execute(select(_VOTES)).one()._asdict()
    again = first | {"position": 2, "key": "another-key", "device": "a\x00b"}
    store = Prepared(insert(_VOTES), _VOTES.c.keys())
    with study.store.write() as connection:
        assert store.run(connection, again) == []
    with study.store.write() as connection:
        store.run(connection, again | {"position": 3, "key": "a-third-key"})
        with pytest.raises(IntegrityError):
            store.run(connection, again)
        connection.rollback()
    with study.store.read() as tx:
        stored = [row._asdict() for row in tx.execute(select(_VOTES).order_by("position"))]
    assert stored == [first, again | {"device": "a\ufffdb"}]
