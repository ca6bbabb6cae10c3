//! The containers as the consumers' own Python libraries read them.

use archive_ingest::produce::Codec;

use crate::avro::container;
use crate::support::python::Python;

/// As a registry has it: attributes that Avro does not know, an order that is
/// not the usual one, escapes, a default, a logical type that values do not
/// keep to.
const SCHEMA: &str = r#"{"aetherBaseSchema": true, "name": "Person", "namespace": "org.eha.demo", "type": "record",
 "doc": "Jos\u00e9 – a person", "fields": [
  {"doc": "ID", "name": "id", "type": "string", "logicalType": "id", "aetherMaskingLevel": "public"},
  {"name": "ref", "type": {"logicalType": "uuid", "type": "string"}},
  {"name": "_rev", "type": ["null", "string"], "default": null, "@aether_extended_type": "string"},
  {"name": "age", "type": ["null", "int", "double"], "aetherMaskingLevel": "private"},
  {"name": "place", "type": ["null", {"type": "record", "name": "Place", "fields": [
    {"name": "latitude", "type": "float"}, {"name": "tags", "type": {"type": "map", "values": "long"}}]}]},
  {"name": "kinds", "type": {"type": "array", "items": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}}}
 ], "extended": {"x": [1, 2.50, null]}}"#;

#[test]
fn fastavro_reads_every_codec_and_finds_the_schema_as_it_was_registered() {
    let Some(python) = Python::of("TEST_PY_CLIENTS") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let payloads: Vec<String> = (0..100).map(payload).collect();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a folder of ours");
        path.into_os_string().into_string().expect("UTF-8")
    };
    let schema = write("schema.json", SCHEMA.as_bytes());
    let expected = write("payloads.jsonl", payloads.join("\n").as_bytes());
    for codec in [Codec::Deflate, Codec::Null] {
        let container = write(codec.name(), &container(SCHEMA, codec, &payloads));
        let said = python.run("read_container.py", &[&container, &schema, &expected], &[]);
        assert_eq!(said.trim(), "100 entities");
    }
}

fn payload(number: usize) -> String {
    let person = serde_json::json!({
        "id": format!("person {number}"),
        "ref": "6b6e6f77-6e2d-6461-7461-2d7575696431",
        "age": if number.is_multiple_of(2) { serde_json::json!(number) } else { serde_json::json!(number as f64 + 0.5) },
        "place": if number.is_multiple_of(3) { serde_json::Value::Null } else {
            serde_json::json!({"latitude": number as f32 / 4.0, "tags": {"ü": number}})
        },
        "kinds": ["A", "B", "A"],
    });
    person.to_string()
}
