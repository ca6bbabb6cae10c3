"""Reads an Avro object container with fastavro: CONTAINER SCHEMA PAYLOADS.

The schema must be the registered one, attribute for attribute and byte for
byte; the entities must be the payloads, missing fields being null.
"""

import json
import sys

import fastavro

container, schema, payloads = sys.argv[1:]
registered = open(schema, encoding="utf-8").read()
with open(container, "rb") as file:
    reader = fastavro.reader(file)
    entities = list(reader)
    embedded = reader.metadata["avro.schema"]
assert embedded == registered, embedded
assert json.loads(embedded) == json.loads(registered)
expected = [json.loads(line) for line in open(payloads, encoding="utf-8")]
assert len(entities) == len(expected)
for entity, payload in zip(entities, expected):
    entity["ref"] = str(entity["ref"])
    payload.setdefault("_rev", None)
    assert entity == payload, (entity, payload)
print(len(entities), "entities")
