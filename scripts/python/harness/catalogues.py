"""Two catalogues, compared."""

import psycopg

# Tables whose content is the archive's, each with the columns that are not: serial numbers.
TABLES = {"messages": ("id",), "topics": ()}

COLUMNS = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = %s AND column_name <> ALL (%s) ORDER BY 1
"""


def create(services, name):
    with connect(services, services.pg_database) as connection:
        connection.execute(f"CREATE DATABASE {name}")


def connect(services, database):
    conninfo = services.conninfo.replace(f"dbname={services.pg_database}", f"dbname={database}")
    return psycopg.connect(conninfo, password=services.pg_password, autocommit=True)


def differences(services, one, other):
    """How many rows only one of them has."""
    return sum(
        len(rows(services, one, table, without) ^ rows(services, other, table, without))
        for table, without in TABLES.items()
    )


def rows(services, database, table, without):
    """A set, as no two rows of these tables are alike."""
    with connect(services, database) as connection:
        names = [name for (name,) in connection.execute(COLUMNS, (table, list(without)))]
        listed = ", ".join(f'"{name}"' for name in names)
        found = connection.execute(f"SELECT md5(ROW({listed})::text) FROM {table}").fetchall()
    unique = {digest for (digest,) in found}
    if not names or len(unique) != len(found):
        raise RuntimeError(f"{database}: {table} has no columns or rows that are alike")
    return unique
