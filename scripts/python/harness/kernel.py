"""A kernel on PostgreSQL: its views, its types, and what their entities are."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

from harness.services import SCRIPTS

VIEWS = SCRIPTS.parent / "tests" / "entities" / "kernel.sql"
MAPPING = uuid.UUID("00000000-0000-0000-0000-00000000000a")

# As a registry has it: attributes that Avro does not know, a union, a record within, a default.
SCHEMA = {
    "aetherBaseSchema": True,
    "namespace": "org.eha.demo",
    "type": "record",
    "doc": "José – an entity",
    "fields": [
        {"name": "id", "type": "string", "doc": "ID", "logicalType": "id", "aetherMaskingLevel": "public"},
        {"name": "stamp", "type": "string", "aetherMaskingLevel": "public"},
        {"name": "number", "type": "long", "aetherMaskingLevel": "public"},
        {
            "name": "name",
            "type": ["null", "string"],
            "default": None,
            "@aether_extended_type": "string",
            "aetherMaskingLevel": "public",
        },
        {
            "name": "place",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Place",
                    "fields": [
                        {"name": "latitude", "type": "double"},
                        {"name": "tags", "type": {"type": "array", "items": "string"}},
                    ],
                },
            ],
            "aetherMaskingLevel": "public",
        },
    ],
    "extended": {"x": [1, 2.5, None]},
}

INSERT = """
    INSERT INTO kernel_entity (id, payload, modified, mapping_id, schemadecorator_id, project_id)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
UPDATE = "UPDATE kernel_entity SET payload = %s, modified = %s WHERE id = %s"


@dataclass(frozen=True)
class Use:
    """A project's own use of a schema."""

    decorator: uuid.UUID
    project: uuid.UUID


@dataclass(frozen=True, eq=False)
class Kind:
    """A registered type. Realms may share its schema, and a realm may use it in several projects."""

    realm: str
    name: str
    schema_id: uuid.UUID
    definition: dict
    uses: tuple

    @property
    def topic(self):
        return f"{self.realm}.{self.name}"


@dataclass(frozen=True)
class State:
    """An entity as it was stored once."""

    topic: str
    id: uuid.UUID
    # The position in the type's order.
    modified: str
    number: int


class Kernel:
    """A database of its own."""

    def __init__(self, services, name):
        self.name = name
        self._services = services
        services.make_database(name)
        with self.connect() as connection:
            connection.execute(VIEWS.read_text())

    def connect(self):
        """A session of an application, each statement a transaction unless it says otherwise."""
        return self._services.connect(self.name)

    def register(self, realm, name, schema_id=None, uses=1):
        kind = Kind(
            realm,
            name,
            schema_id or uuid.uuid4(),
            SCHEMA | {"name": name},
            tuple(Use(uuid.uuid4(), uuid.uuid4()) for _ in range(uses)),
        )
        with self.connect() as connection, connection.transaction():
            connection.execute(
                "INSERT INTO kernel_schema (id, name, definition) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (kind.schema_id, name, json.dumps(kind.definition)),
            )
            for use in kind.uses:
                connection.execute("INSERT INTO kernel_project VALUES (%s)", (use.project,))
                connection.execute("INSERT INTO multitenancy_mtinstance VALUES (%s, %s)", (use.project, realm))
                connection.execute(
                    "INSERT INTO kernel_schemadecorator (id, name, project_id, schema_id) VALUES (%s, %s, %s, %s)",
                    (use.decorator, name, use.project, kind.schema_id),
                )
        return kind

    def states(self):
        """What the kernel has now, as a set."""
        query = """
            SELECT realm || '.' || schema_name, id, modified, (payload ->> 'number')::bigint FROM kernel_entity_vw
        """
        with self.connect() as connection:
            return {State(*row) for row in connection.execute(query)}


def text(micros, entity_id):
    """`modified` as an Aether kernel writes it: the fraction is left out where it is zero."""
    time = datetime.fromtimestamp(micros // 1_000_000, timezone.utc).replace(microsecond=micros % 1_000_000)
    return f"{time.replace(tzinfo=None).isoformat()}-{entity_id}"


def payload(state):
    """What is stored, which follows from the state. Some fields are missing, some null."""
    number = state.number
    stored = {"id": str(state.id), "stamp": state.modified, "number": number}
    if number % 3:
        stored["name"] = f"Amina {number} Abubakar–Ọlá" if number % 4 else None
    if number % 5:
        stored["place"] = {"latitude": number / 8, "tags": ["x" * (number % 40)] * (number % 4)}
    return stored


def decoded(state):
    """What a reader of the topic must find of it."""
    return {"name": None, "place": None} | payload(state)
