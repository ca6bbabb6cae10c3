//! Payloads as Avro: whatever fits comes out as it went in, and whatever does
//! not says where.

use apache_avro::Reader;
use apache_avro::types::Value;
use archive_ingest::produce::{Codec, ContainerWriter, Encoder, Limits};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// One container of these payloads.
pub fn container(schema: &str, codec: Codec, payloads: &[String]) -> Vec<u8> {
    let limits = Limits {
        entities: usize::MAX,
        bytes: usize::MAX,
    };
    let mut writer = ContainerWriter::new(schema, codec, limits).expect("a schema");
    for payload in payloads {
        let mut encoded = vec![];
        writer.encode(payload, &mut encoded).expect("it fits");
        writer.push(&encoded);
    }
    writer.finish().expect("memory").expect("some entities")
}

fn decoded(container: &[u8]) -> Vec<Value> {
    let reader = Reader::new(container).expect("a container");
    reader.map(|value| value.expect("a value")).collect()
}

fn misfit(schema: &Json, payload: &str) -> String {
    let encoder = Encoder::new(&schema.to_string()).expect("a schema");
    let mut out = b"before".to_vec();
    let misfit = encoder.encode(payload, &mut out).expect_err(payload);
    assert_eq!(out, b"before", "nothing of it is left");
    misfit.to_string()
}

/// The only value of a container of this one payload.
fn through(schema: &Json, payload: &Json) -> Value {
    let container = container(&schema.to_string(), Codec::Null, &[payload.to_string()]);
    let mut values = decoded(&container);
    assert_eq!(values.len(), 1);
    values.remove(0)
}

fn record(fields: Json) -> Json {
    json!({"type": "record", "name": "R", "fields": fields})
}

#[test]
fn a_value_is_of_the_first_branch_of_its_union_that_fits() {
    let schema = json!(["null", "int", "long", "double", {"type": "enum", "name": "E", "symbols": ["A"]}, "string"]);
    let branch = |payload: Json| match through(&schema, &payload) {
        Value::Union(branch, value) => (branch, *value),
        other => panic!("{other:?}"),
    };
    assert_eq!(branch(json!(null)), (0, Value::Null));
    assert_eq!(branch(json!(7)), (1, Value::Int(7)));
    assert_eq!(
        branch(json!(3_000_000_000_i64)),
        (2, Value::Long(3_000_000_000))
    );
    assert_eq!(branch(json!(1.5)), (3, Value::Double(1.5)));
    assert_eq!(branch(json!(u64::MAX)), (3, Value::Double(u64::MAX as f64)));
    assert_eq!(branch(json!("A")), (4, Value::Enum(0, "A".into())));
    assert_eq!(branch(json!("B")), (5, Value::String("B".into())));
}

#[test]
fn a_record_of_a_union_is_the_first_whose_fields_fit() {
    let of = |name: &str, kind: &str| json!({"type": "record", "name": name, "fields": [{"name": "x", "type": kind}]});
    let schema = json!([of("A", "int"), of("B", "string")]);
    let Value::Union(branch, _) = through(&schema, &json!({"x": "text"})) else {
        panic!("no union");
    };
    assert_eq!(branch, 1);
}

#[test]
fn a_missing_field_is_its_default_or_else_null() {
    let schema = record(json!([
        {"name": "a", "type": "int", "default": 7},
        {"name": "b", "type": ["null", "string"]},
        {"name": "c", "type": ["string", "null"], "default": "d"},
        {"name": "e", "type": {"type": "array", "items": "int"}, "default": [1, 2]},
    ]));
    let Value::Record(fields) = through(&schema, &json!({})) else {
        panic!("no record");
    };
    let values: Vec<Value> = fields.into_iter().map(|(_, value)| value).collect();
    assert_eq!(
        values,
        [
            Value::Int(7),
            Value::Union(0, Box::new(Value::Null)),
            Value::Union(0, Box::new(Value::String("d".into()))),
            Value::Array(vec![Value::Int(1), Value::Int(2)]),
        ]
    );
}

#[test]
fn members_that_the_schema_does_not_have_are_left_out_and_counted() {
    let schema = record(json!([{"name": "a", "type": "int"}]));
    let encoder = Encoder::new(&schema.to_string()).expect("a schema");
    let mut out = vec![];
    let payload = r#"{"x": [1, {}], "a": 1, "y": null}"#;
    let encoded = encoder.encode(payload, &mut out).expect("it fits");
    assert_eq!((out, encoded.left_out), (vec![2], 2));
}

#[test]
fn a_type_may_refer_to_itself_and_to_types_of_its_namespace() {
    let schema = json!({
        "type": "record", "name": "Tree", "namespace": "org.example",
        "fields": [
            {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 2}},
            {"name": "other", "type": ["null", "org.example.Id"]},
            {"name": "children", "type": {"type": "array", "items": "Tree"}},
            {"name": "named", "type": {"type": "map", "values": "Tree"}, "default": {}},
        ]
    });
    let leaf = json!({"id": "\u{0}\u{ff}", "children": []});
    let tree = json!({"id": "ab", "other": "cd", "children": [leaf, leaf], "named": {"x": leaf}});
    let Value::Record(fields) = through(&schema, &tree) else {
        panic!("no record");
    };
    assert_eq!(fields[0].1, Value::Fixed(2, b"ab".to_vec()));
    let Value::Array(children) = &fields[2].1 else {
        panic!("no array");
    };
    assert_eq!(children.len(), 2);
}

#[test]
fn what_does_not_fit_is_told_with_its_path_and_reason() {
    let schema = record(json!([
        {"name": "a", "type": {"type": "record", "name": "A", "fields": [
            {"name": "b", "type": {"type": "array", "items": "int"}},
        ]}},
        {"name": "m", "type": {"type": "map", "values": ["null", "boolean"]}, "default": {}},
        {"name": "f", "type": "float", "default": 0},
        {"name": "u", "type": ["int", "string"], "default": 0},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["X"]}, "default": "X"},
        {"name": "bytes", "type": "bytes", "default": ""},
    ]));
    for (payload, expected) in [
        (
            r#"{"a": {"b": [1, 2, 3, "x"]}}"#,
            "$.a.b[3]: a text, where the schema has int",
        ),
        (
            r#"{"a": {"b": [2147483648]}}"#,
            "$.a.b[0]: an integer beyond the range of int",
        ),
        (
            r#"{"a": {"b": [1.0]}}"#,
            "$.a.b[0]: a number, where the schema has int",
        ),
        (
            r#"{"a": {}}"#,
            "$.a.b: missing, and the schema has no default for it",
        ),
        (r#"{"a": null}"#, "$.a: null, where the schema has record"),
        (
            r#"{}"#,
            "$.a: missing, and the schema has no default for it",
        ),
        (
            r#"{"a": {"b": []}, "m": {"k y": 1}}"#,
            "$.m[\"k y\"]: an integer that fits none of [null, boolean]",
        ),
        (
            r#"{"a": {"b": []}, "f": 1e39}"#,
            "$.f: a number beyond the range of float",
        ),
        (
            r#"{"a": {"b": []}, "u": true}"#,
            "$.u: a boolean that fits none of [int, string]",
        ),
        (
            r#"{"a": {"b": []}, "u": 1e2}"#,
            "$.u: a number, where the schema has int",
        ),
        (
            r#"{"a": {"b": []}, "e": "Y"}"#,
            "$.e: \"Y\" is none of the enum's symbols",
        ),
        (
            r#"{"a": {"b": []}, "bytes": "€"}"#,
            "$.bytes: a text with characters that stand for no byte",
        ),
        (r#"[]"#, "$: an array, where the schema has record"),
    ] {
        assert_eq!(misfit(&schema, payload), expected, "{payload}");
    }
}

#[test]
fn what_is_no_json_is_told() {
    let schema = json!("double");
    for payload in ["NaN", "1e999", "01", "", "{", "\"\u{1}\"", "1 2"] {
        let misfit = misfit(&schema, payload);
        assert!(
            misfit.starts_with("$: the payload cannot be read: "),
            "{misfit}"
        );
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(misfit(&schema, &deep).contains("recursion limit"));
}

/// Each level doubles the ways: 2¹⁰⁰ without an end.
#[test]
fn unions_that_could_be_read_in_endless_ways_end() {
    let schema = json!({"type": "record", "name": "N", "fields": [{"name": "x", "type": [
        "null",
        {"type": "record", "name": "A", "fields": [{"name": "x", "type": ["null", "N"]}, {"name": "a", "type": "int"}]},
        {"type": "record", "name": "B", "fields": [{"name": "x", "type": ["null", "N"]}, {"name": "b", "type": "int"}]},
    ]}]});
    let mut payload = "null".to_owned();
    for _ in 0..120 {
        payload = format!("{{\"x\":{payload}}}");
    }
    assert!(misfit(&schema, &payload).contains("too many ways"));
}

#[test]
fn a_schema_that_is_none_is_refused_with_a_reason() {
    for (schema, reason) in [
        (r#"{"type": "record"}"#, "without a name"),
        (r#"{"type": "record", "name": "R"}"#, "without \"fields\""),
        (
            r#"{"type": "record", "name": "1", "fields": []}"#,
            "\"1\" is no name",
        ),
        (
            r#"{"type": "record", "name": "R", "fields": [{"name": "a b", "type": "int"}]}"#,
            "no field's name",
        ),
        (
            r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "S"}]}"#,
            "\"S\" is not defined",
        ),
        (r#"["int", "int"]"#, "a type twice"),
        (r#"["int", ["null"]]"#, "directly within a union"),
        (r#"[]"#, "without a type"),
        (
            r#"{"type": "enum", "name": "E", "symbols": ["A", "A"]}"#,
            "twice",
        ),
        (
            r#"{"type": "fixed", "name": "F", "size": -1}"#,
            "without a size",
        ),
        (r#"{"type": "array"}"#, "without \"items\""),
        ("7", "an integer where a type should be"),
        ("{", "no JSON"),
    ] {
        let error = Encoder::new(schema).expect_err(schema).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_container_is_cut_at_its_entities_and_at_its_bytes() {
    let limits = Limits {
        entities: 3,
        bytes: 1000,
    };
    let mut writer = ContainerWriter::new("\"string\"", Codec::Null, limits).expect("a schema");
    let mut sizes = vec![];
    let mut encoded = vec![];
    for length in [10, 10, 10, 10, 700, 700, 5000, 10] {
        encoded.clear();
        let payload = format!("\"{}\"", "x".repeat(length));
        writer.encode(&payload, &mut encoded).expect("it fits");
        if writer.is_full_for(encoded.len()) {
            sizes.push(decoded(&writer.finish().expect("memory").expect("some")).len());
        }
        writer.push(&encoded);
    }
    sizes.push(decoded(&writer.finish().expect("memory").expect("some")).len());
    assert_eq!(sizes, [3, 2, 1, 1, 1]);
    assert!(
        writer.finish().expect("memory").is_none(),
        "nothing is left"
    );
}

/// A schema and a payload that fits it.
fn fitting(depth: u32) -> BoxedStrategy<(Json, Json)> {
    let leaf = prop_oneof![
        Just((json!("null"), json!(null))),
        any::<bool>().prop_map(|b| (json!("boolean"), json!(b))),
        any::<i32>().prop_map(|n| (json!("int"), json!(n))),
        any::<i64>().prop_map(|n| (json!("long"), json!(n))),
        any::<f32>()
            .prop_filter("JSON has it", |f| f.is_finite())
            .prop_map(|f| (json!("float"), json!(f))),
        any::<f64>()
            .prop_filter("JSON has it", |f| f.is_finite())
            .prop_map(|f| (json!("double"), json!(f))),
        ".{0,20}".prop_map(|text| (json!("string"), json!(text))),
        ".{0,20}".prop_map(|text| (
            json!({"type": "string", "logicalType": "uuid-ish", "aetherMaskingLevel": "x"}),
            json!(text)
        )),
        "[\\x00-\\xff]{0,20}".prop_map(|text| (json!("bytes"), json!(text))),
        Just((json!({"type": "enum", "symbols": ["A", "B"]}), json!("B"))),
        "[\\x00-\\xff]{3}".prop_map(|text| (json!({"type": "fixed", "size": 3}), json!(text))),
    ];
    leaf.prop_recursive(depth, 40, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|(schema, value)| (
                json!({"type": "array", "items": schema}),
                json!([value, value])
            )),
            (inner.clone(), ".{0,5}").prop_map(|((schema, value), name)| (
                json!({"type": "map", "values": schema}),
                json!({name: value})
            )),
            (inner.clone(), any::<bool>())
                .prop_map(|((schema, value), is_null)| nullable(schema, value, is_null)),
            prop::collection::vec((inner, any::<bool>()), 0..5).prop_map(of_fields),
        ]
    })
    .prop_map(|(schema, value)| (with_names(schema, &mut 0), value))
    .boxed()
}

fn nullable(schema: Json, value: Json, is_null: bool) -> (Json, Json) {
    match schema.is_array() || schema == "null" {
        true => (schema, value),
        false => (
            json!(["null", schema]),
            if is_null { Json::Null } else { value },
        ),
    }
}

fn of_fields(fields: Vec<((Json, Json), bool)>) -> (Json, Json) {
    let mut described = vec![];
    let mut members = serde_json::Map::new();
    for (place, ((schema, value), is_extra)) in fields.into_iter().enumerate() {
        let name = format!("f{place}");
        described.push(json!({"name": name, "type": schema, "extra": is_extra}));
        members.insert(name, value);
        if is_extra {
            members.insert(format!("x{place}"), json!([place]));
        }
    }
    (
        json!({"type": "record", "fields": described}),
        Json::Object(members),
    )
}

/// Gives every named type a name of its own.
fn with_names(schema: Json, next: &mut u32) -> Json {
    match schema {
        Json::Array(items) => items
            .into_iter()
            .map(|item| with_names(item, next))
            .collect(),
        Json::Object(mut members) => {
            let kind = members.get("type").and_then(Json::as_str);
            if matches!(kind, Some("record" | "enum" | "fixed")) {
                *next += 1;
                members.insert("name".into(), json!(format!("T{next}")));
            }
            let named = members
                .into_iter()
                .map(|(name, value)| match name.as_str() {
                    "symbols" => (name, value),
                    _ => (name, with_names(value, next)),
                });
            Json::Object(named.collect())
        }
        other => other,
    }
}

/// Whether Avro's value is the payload's.
fn agrees(value: &Value, json: &Json) -> bool {
    let latin = |bytes: &[u8]| Json::String(bytes.iter().map(|b| char::from(*b)).collect());
    match value {
        Value::Null => json.is_null(),
        Value::Boolean(value) => json == value,
        Value::Int(value) => *json == json!(value),
        Value::Long(value) => *json == json!(value),
        Value::Float(value) => json.as_f64().map(|f| f as f32) == Some(*value),
        Value::Double(value) => json.as_f64() == Some(*value),
        Value::String(value) => json == value,
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => *json == latin(bytes),
        Value::Enum(_, symbol) => json == symbol,
        Value::Union(_, value) => agrees(value, json),
        Value::Array(values) => json.as_array().is_some_and(|items| {
            items.len() == values.len() && values.iter().zip(items).all(|(v, j)| agrees(v, j))
        }),
        Value::Map(values) => json.as_object().is_some_and(|members| {
            members.len() == values.len()
                && values
                    .iter()
                    .all(|(name, v)| members.get(name).is_some_and(|j| agrees(v, j)))
        }),
        Value::Record(fields) => fields
            .iter()
            .all(|(name, v)| json.get(name).is_some_and(|j| agrees(v, j))),
        other => panic!("{other:?} is in no schema here"),
    }
}

/// Any JSON.
fn any_json() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(|f| json!(f)),
        "[a-fx]{0,3}".prop_map(Json::from),
        Just(json!("record")),
        Just(json!("int")),
    ];
    let name = prop_oneof![
        Just("type".to_owned()),
        Just("name".to_owned()),
        Just("fields".to_owned()),
        Just("items".to_owned()),
        Just("values".to_owned()),
        Just("symbols".to_owned()),
        Just("default".to_owned()),
        "[f][0-4]",
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

proptest! {
    #[test]
    fn avros_own_library_reads_back_every_payload_that_fits((schema, payload) in fitting(4)) {
        let schema = schema.to_string();
        let payloads = [payload.to_string(), payload.to_string()];
        for codec in [Codec::Deflate, Codec::Null, Codec::Zstandard] {
            let values = decoded(&container(&schema, codec, &payloads));
            prop_assert_eq!(values.len(), 2);
            prop_assert!(values.iter().all(|value| agrees(value, &payload)), "{:?} is not {}", values, payload);
        }
    }

    #[test]
    fn no_payload_and_no_schema_makes_the_encoder_panic(
        (schema, _) in fitting(4), other_schema in any_json(), payload in any_json(), text in ".*"
    ) {
        for schema in [schema.to_string(), other_schema.to_string(), text.clone()] {
            if let Ok(encoder) = Encoder::new(&schema) {
                let _ = encoder.encode(&payload.to_string(), &mut vec![]);
                let _ = encoder.encode(&text, &mut vec![]);
            }
        }
    }

    /// What the encoder takes, Avro's library reads, whatever it is.
    #[test]
    fn whatever_is_encoded_can_be_read((schema, _) in fitting(3), (_, payload) in fitting(3)) {
        let schema = schema.to_string();
        let mut writer = ContainerWriter::new(&schema, Codec::Null, Limits::default()).expect("a schema");
        let mut encoded = vec![];
        if writer.encode(&payload.to_string(), &mut encoded).is_ok() {
            writer.push(&encoded);
            let container = writer.finish().expect("memory").expect("one");
            prop_assert_eq!(decoded(&container).len(), 1);
        }
    }
}
