//! Messages of a registry as JSON.

use serde_json::Value;

use super::client::{Language, Registry};
use super::error::RegistryError;
use super::wire;

/// A message whose schema the registry has.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub schema_id: u32,
    pub value: Value,
}

/// Bytes that begin as a message of a registry, and stay bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotDecoded {
    pub schema_id: u32,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The registry has the schema, and the bytes are no data of it.
    #[error("no data of schema {schema_id}: {cause}")]
    Data { schema_id: u32, cause: String },
}

impl NotDecoded {
    /// Whether it may be otherwise a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(&self.reason, Reason::Registry(error) if error.is_passing())
    }

    /// Whether the registry did not say anything about the schema, so that
    /// nothing is known of the bytes.
    pub fn is_unanswered(&self) -> bool {
        matches!(&self.reason, Reason::Registry(error) if !error.is_about_schema())
    }
}

impl Registry {
    /// The JSON of a message; `None` where the bytes do not begin as one.
    pub async fn decode(&self, message: &[u8]) -> Option<Result<Decoded, NotDecoded>> {
        self.decode_for(message, None).await
    }

    /// The same, read with a reader's schema where one is given.
    pub async fn decode_for(
        &self,
        message: &[u8],
        reader: Option<&str>,
    ) -> Option<Result<Decoded, NotDecoded>> {
        let (schema_id, datum) = wire::split(message)?;
        let decoded = self.datum(schema_id, datum, reader).await;
        Some(match decoded {
            Ok(value) => Ok(Decoded { schema_id, value }),
            Err(reason) => Err(NotDecoded { schema_id, reason }),
        })
    }

    async fn datum(
        &self,
        schema_id: u32,
        datum: &[u8],
        reader: Option<&str>,
    ) -> Result<Value, Reason> {
        let schema = self.schema(schema_id).await?;
        let data = |cause: String| Reason::Data { schema_id, cause };
        match (&schema.language, reader) {
            (Language::Avro(decoder), None) => {
                decoder.decode(datum).map_err(|why| data(why.to_string()))
            }
            (Language::Avro(decoder), Some(reader)) => {
                decoder.decode(datum).map_err(|why| data(why.to_string()))?;
                let evolution = Registry::evolution(&schema, reader);
                let evolution = evolution.map_err(|why| data(why.to_string()))?;
                evolution.decode(datum).map_err(|why| data(why.to_string()))
            }
            (Language::Json, _) => json_value(datum).map_err(data),
            (Language::Other(name), _) => Err(data(format!("schemas of {name} are not read"))),
        }
    }
}

/// Bytes that JSON may take when it is read into values, beside its texts.
const MAX_JSON_BYTES: usize = 64 << 20;

/// Bytes of a value in memory, and of the member that it is.
const JSON_VALUE_BYTES: usize = 96;

/// Reads JSON into a value. The error says why it is none, or that it would take
/// too much memory: an element of two bytes takes many times as many.
pub fn json_value(json: &[u8]) -> Result<Value, String> {
    // Each value but the first comes after one of these; some stand in texts.
    let separators = json.iter().filter(|byte| b"[{,".contains(byte)).count();
    if separators > MAX_JSON_BYTES / JSON_VALUE_BYTES {
        // Only what is JSON is too large for it.
        serde_json::from_slice::<serde::de::IgnoredAny>(json).map_err(|why| why.to_string())?;
        return Err(format!(
            "JSON of about {separators} values, too many to be shown as JSON"
        ));
    }
    serde_json::from_slice(json).map_err(|why| why.to_string())
}
