"""What is in Airflow's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import sql


@dataclass(frozen=True)
class Database:
    """Airflow's database in a PostgreSQL at `url`."""

    url: str = field(repr=False)

    def rows(self) -> dict[str, int]:
        """Rows of each table, counted; empty tables are left out."""
        with self._cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
            tables = [str(name) for (name,) in cursor.fetchall()]
            counts = {}
            for table in tables:
                cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
                counts[table] = int(cursor.fetchone()[0])
        return {table: count for table, count in counts.items() if count}

    def mapped(self, run_id: str, task_id: str) -> int:
        """How many instances of a mapped task a run has; an instance that is not expanded yet does not count."""
        query = "SELECT count(*) FROM task_instance WHERE run_id = %s AND task_id = %s AND map_index >= 0"
        with self._cursor() as cursor:
            cursor.execute(query, (run_id, task_id))
            return int(cursor.fetchone()[0])

    def mebibytes(self) -> float:
        """Size of the database on disk."""
        with self._cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return float(cursor.fetchone()[0]) / 2**20

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        connection = psycopg2.connect(self.url)
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Rows that were added, by table."""
    added = {table: count - before.get(table, 0) for table, count in after.items()}
    return {table: count for table, count in sorted(added.items(), key=lambda one: -one[1]) if count > 0}
