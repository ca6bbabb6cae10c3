//! Avro's data as JSON: what was encoded comes back, and no bytes do harm.

use archive_ingest::avro::{Decoder, Encoder, Evolution, is_container, read_container};
use archive_ingest::produce::{Codec, ContainerWriter, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every kind of type, some of them within themselves.
fn schema() -> String {
    json!({"type": "record", "name": "Node", "namespace": "n", "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "int", "type": "int"},
        {"name": "long", "type": "long"},
        {"name": "double", "type": "double"},
        {"name": "text", "type": "string"},
        {"name": "bytes", "type": "bytes"},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 3}},
        {"name": "colour", "type": {"type": "enum", "name": "C", "symbols": ["RED", "GREEN"]}},
        {"name": "either", "type": ["null", "long", "string"]},
        {"name": "map", "type": {"type": "map", "values": "long"}},
        {"name": "children", "type": {"type": "array", "items": "Node"}},
    ]})
    .to_string()
}

fn payload() -> impl Strategy<Value = Value> {
    let leaf = (
        any::<(bool, i32, i64)>(),
        -1e300..1e300_f64,
        "\\PC{0,8}",
        "[\u{0}-\u{ff}]{0,8}",
        "[\u{0}-\u{ff}]{3}",
        prop_oneof![Just("RED"), Just("GREEN")],
        prop_oneof![
            Just(json!(null)),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from)
        ],
        prop::collection::hash_map("\\PC{0,4}", any::<i64>(), 0..4),
    )
        .prop_map(
            |((flag, int, long), double, text, bytes, fixed, colour, either, map)| {
                json!({"flag": flag, "int": int, "long": long, "double": double, "text": text,
                "bytes": bytes, "fixed": fixed, "colour": colour, "either": either, "map": map,
                "children": []})
            },
        );
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..3)).prop_map(|(mut node, children)| {
            node["children"] = Value::from(children);
            node
        })
    })
}

proptest! {
    #[test]
    fn whatever_was_encoded_is_decoded_to_the_same(payload in payload()) {
        let (encoder, decoder) = (Encoder::new(&schema()).unwrap(), Decoder::new(&schema(), &[]).unwrap());
        let mut datum = vec![];
        encoder.encode(&payload.to_string(), &mut datum).unwrap();
        prop_assert_eq!(decoder.decode(&datum).unwrap(), payload);
        // One byte less is none.
        prop_assert!(decoder.decode(&datum[..datum.len() - 1]).is_err());
    }

    #[test]
    fn a_reader_of_the_same_schema_sees_the_same(payload in payload()) {
        let mut datum = vec![];
        Encoder::new(&schema()).unwrap().encode(&payload.to_string(), &mut datum).unwrap();
        let evolution = Evolution::new(&schema(), &[], &schema()).unwrap();
        prop_assert_eq!(evolution.decode(&datum).unwrap(), payload);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
        let decoder = Decoder::new(&schema(), &[]).unwrap();
        let _ = decoder.decode(&bytes);
    }

    #[test]
    fn a_container_of_any_codec_is_read_back(payloads in prop::collection::vec(payload(), 1..4)) {
        for codec in [Codec::Null, Codec::Deflate, Codec::Zstandard] {
            let container = container(codec, &payloads);
            prop_assert!(is_container(&container));
            prop_assert_eq!(&read_container(&container).unwrap(), &payloads);
        }
    }

    #[test]
    fn no_change_of_a_container_makes_its_reader_panic(at in 0..600_usize, to: u8, payload in payload()) {
        let mut container = container(Codec::Deflate, &[payload]);
        let at = at % container.len();
        container[at] = to;
        let _ = read_container(&container);
        let _ = read_container(&container[..at]);
    }
}

fn container(codec: Codec, payloads: &[Value]) -> Vec<u8> {
    let limits = Limits {
        entities: usize::MAX,
        bytes: usize::MAX,
    };
    let mut writer = ContainerWriter::new(&schema(), codec, limits).unwrap();
    for payload in payloads {
        let mut encoded = vec![];
        writer.encode(&payload.to_string(), &mut encoded).unwrap();
        writer.push(&encoded);
    }
    writer.finish().unwrap().unwrap()
}

#[test]
fn a_message_that_is_nested_without_end_is_refused_and_not_followed() {
    let list =
        r#"{"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}"#;
    let decoder = Decoder::new(list, &[]).unwrap();
    let error = decoder.decode(&[2; 1_000_000]).unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

#[test]
fn a_few_bytes_that_stand_for_very_many_values_are_refused() {
    let nulls = r#"{"type": "array", "items": "null"}"#;
    let decoder = Decoder::new(nulls, &[]).unwrap();
    // A count of 2^40.
    let error = decoder.decode(b"\x80\x80\x80\x80\x80\x40\x00").unwrap_err();
    assert!(error.to_string().contains("more values"), "{error}");
    assert_eq!(decoder.decode(b"\x04\x00").unwrap(), json!([null, null]));
}

#[test]
fn numbers_that_json_does_not_have_are_texts() {
    let decoder = Decoder::new("\"double\"", &[]).unwrap();
    let shown = |number: f64| decoder.decode(&number.to_le_bytes()).unwrap();
    assert_eq!(shown(f64::NAN), "NaN");
    assert_eq!(shown(f64::INFINITY), "Infinity");
    assert_eq!(shown(f64::NEG_INFINITY), "-Infinity");
}

#[test]
fn a_schema_may_name_types_of_those_that_it_refers_to() {
    let station = r#"{"type": "record", "name": "Station", "namespace": "w", "fields": [{"name": "id", "type": "string"}]}"#;
    let reading =
        r#"{"type": "record", "name": "R", "fields": [{"name": "at", "type": "w.Station"}]}"#;
    assert!(Decoder::new(reading, &[]).is_err());
    let references = [station.to_owned()];
    let decoder = Decoder::new(reading, &references).unwrap();
    assert_eq!(
        decoder.decode(b"\x02a").unwrap(),
        json!({"at": {"id": "a"}})
    );
    let whole = r#"{"type": "record", "name": "R", "fields": [{"name": "at", "type":
        {"type": "record", "name": "Station", "namespace": "w", "fields": [{"name": "id", "type": "string"}]}},
        {"name": "more", "type": "int", "default": 3}]}"#;
    let evolution = Evolution::new(reading, &references, whole).unwrap();
    assert_eq!(
        evolution.decode(b"\x02a").unwrap(),
        json!({"at": {"id": "a"}, "more": 3})
    );
}
