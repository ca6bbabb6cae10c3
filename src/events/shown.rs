//! What a key or a value is, and its JSON.

use serde::Serialize;
use serde_json::Value;

use crate::avro::{is_container, read_container};
use crate::registry::{BlockingRegistry, NotDecoded, Reason, RegistryError, json_value, wire};

/// What values are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Whatever they are.
    Auto,
    /// A registry's wire format, or an Avro container.
    Avro,
    Json,
    /// Nothing: bytes.
    Hex,
}

/// A key or a value, shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// `registry`, `container`, `json`, `text`, `bytes` or `null`.
    pub format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<u32>,
    /// Of bytes their hexadecimal digits.
    pub data: Value,
    /// Why bytes are shown where something else was asked for or expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Reads keys and values.
pub struct EventReader {
    pub format: Format,
    pub registry: Option<BlockingRegistry>,
    /// The reader's own schemas, as JSON texts; the writer's where absent.
    pub key_schema: Option<String>,
    pub value_schema: Option<String>,
}

impl EventReader {
    /// A key is read as whatever it is, unless everything is bytes. Errors: the
    /// registry could not be asked.
    pub fn key(&self, key: Option<&[u8]>) -> Result<Shown, RegistryError> {
        let format = match self.format {
            Format::Hex => Format::Hex,
            _ => Format::Auto,
        };
        self.show(format, key, self.key_schema.as_deref())
    }

    /// Errors: the registry could not be asked.
    pub fn value(&self, value: Option<&[u8]>) -> Result<Shown, RegistryError> {
        self.show(self.format, value, self.value_schema.as_deref())
    }

    fn show(
        &self,
        format: Format,
        bytes: Option<&[u8]>,
        reader: Option<&str>,
    ) -> Result<Shown, RegistryError> {
        let Some(bytes) = bytes else {
            return Ok(shown("null", Value::Null));
        };
        Ok(match format {
            Format::Hex => hex_of(bytes),
            Format::Json => match json_value(bytes) {
                Ok(json) => shown("json", json),
                Err(error) => trouble(bytes, format!("no JSON: {error}")),
            },
            Format::Avro => match self.avro(bytes, reader)? {
                Some(shown) => shown,
                None => trouble(
                    bytes,
                    "neither a message of a schema registry nor an Avro container".to_owned(),
                ),
            },
            Format::Auto => match self.avro(bytes, reader)? {
                Some(shown) => shown,
                None => plain(bytes),
            },
        })
    }

    /// `None` where the bytes begin as nothing of Avro.
    fn avro(&self, bytes: &[u8], reader: Option<&str>) -> Result<Option<Shown>, RegistryError> {
        if is_container(bytes) {
            return Ok(Some(match read_container(bytes) {
                Ok(values) => shown("container", Value::Array(values)),
                Err(error) => trouble(bytes, error.to_string()),
            }));
        }
        let Some((schema_id, _)) = wire::split(bytes) else {
            return Ok(None);
        };
        let decoded = match &self.registry {
            Some(registry) => registry.decode_for(bytes, reader),
            None => None,
        };
        Ok(Some(match decoded {
            None => Shown {
                schema_id: Some(schema_id),
                ..trouble(bytes, "no schema registry is chosen (-R)".to_owned())
            },
            Some(Ok(decoded)) => Shown {
                schema_id: Some(schema_id),
                ..shown("registry", decoded.value)
            },
            Some(Err(NotDecoded {
                reason: Reason::Registry(error),
                ..
            })) if !error.is_about_schema() => return Err(error),
            Some(Err(error)) => Shown {
                schema_id: Some(schema_id),
                ..trouble(bytes, error.to_string())
            },
        }))
    }
}

fn shown(format: &'static str, data: Value) -> Shown {
    Shown {
        format,
        schema_id: None,
        data,
        trouble: None,
    }
}

fn hex_of(bytes: &[u8]) -> Shown {
    shown("bytes", Value::String(hex::encode(bytes)))
}

fn trouble(bytes: &[u8], why: String) -> Shown {
    Shown {
        trouble: Some(why),
        ..hex_of(bytes)
    }
}

fn plain(bytes: &[u8]) -> Shown {
    if let Ok(json) = json_value(bytes) {
        return shown("json", json);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => shown("text", Value::from(text)),
        Err(_) => hex_of(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn reader(format: Format) -> EventReader {
        EventReader {
            format,
            registry: None,
            key_schema: None,
            value_schema: None,
        }
    }

    fn value(format: Format, bytes: &[u8]) -> Shown {
        reader(format).value(Some(bytes)).expect("nobody is asked")
    }

    #[test]
    fn a_value_is_shown_as_what_it_is() {
        let auto = |bytes: &[u8]| {
            let shown = value(Format::Auto, bytes);
            (shown.format, shown.data)
        };
        assert_eq!(auto(b"{\"a\": 1}"), ("json", json!({"a": 1})));
        assert_eq!(auto(b"edX+0"), ("text", json!("edX+0")));
        assert_eq!(auto(b""), ("text", json!("")));
        assert_eq!(auto(b"\xff\x01"), ("bytes", json!("ff01")));
        let null = reader(Format::Avro).value(None).expect("nobody is asked");
        assert_eq!((null.format, null.trouble), ("null", None));
    }

    #[test]
    fn without_a_registry_its_message_is_bytes_with_the_schemas_id() {
        let shown = value(Format::Auto, b"\x00\x00\x00\x00\x07abc");
        assert_eq!((shown.format, shown.schema_id), ("bytes", Some(7)));
        assert!(shown.trouble.expect("a reason").contains("-R"));
    }

    #[test]
    fn what_is_not_as_it_was_asked_for_is_bytes_with_the_reason() {
        for (format, bytes) in [(Format::Json, &b"text"[..]), (Format::Avro, b"{}")] {
            let shown = value(format, bytes);
            assert_eq!(shown.data, json!(hex::encode(bytes)));
            assert!(shown.trouble.is_some());
        }
        assert_eq!(value(Format::Hex, b"{}").trouble, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, is_container: bool) {
            let bytes = match is_container {
                true => [b"Obj\x01", bytes.as_slice()].concat(),
                false => bytes,
            };
            for format in [Format::Auto, Format::Avro, Format::Json, Format::Hex] {
                value(format, &bytes);
            }
        }
    }
}
