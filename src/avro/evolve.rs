//! Data of one schema, read as those of a newer or an older one.

use apache_avro::Schema;
use serde_json::Value;

use super::decode::{Decoder, Undecodable};
use super::schema::SchemaError;

/// From one schema to another, by the rules of
/// <https://avro.apache.org/docs/1.12.0/specification/#schema-resolution>.
#[derive(Debug)]
pub struct Evolution {
    writer: Schema,
    /// What the writer's schema refers to.
    references: Vec<Schema>,
    reader: Schema,
    decoder: Decoder,
}

impl Evolution {
    /// `references` as [`Decoder::new`] takes them; the reader's schema has all
    /// of its types within itself.
    pub fn new(writer: &str, references: &[String], reader: &str) -> Result<Self, SchemaError> {
        let others: Vec<&str> = references.iter().map(String::as_str).collect();
        let (writer, references) = match others.is_empty() {
            true => (Schema::parse_str(writer).map_err(wrong)?, Vec::new()),
            false => Schema::parse_str_with_list(writer, others).map_err(wrong)?,
        };
        Ok(Self {
            writer,
            references,
            decoder: Decoder::new(reader, &[])?,
            reader: Schema::parse_str(reader).map_err(wrong)?,
        })
    }

    /// The JSON of what data of the writer's schema are to the reader's. They
    /// have been decoded by the writer's before: the library has no bounds of
    /// its own.
    pub fn decode(&self, datum: &[u8]) -> Result<Value, Undecodable> {
        let read = || {
            let mut schemata: Vec<&Schema> = self.references.iter().collect();
            schemata.push(&self.writer);
            let value = apache_avro::from_avro_datum_reader_schemata(
                &self.writer,
                schemata,
                &mut &*datum,
                Some(&self.reader),
                vec![],
            )?;
            apache_avro::to_avro_datum(&self.reader, value)
        };
        let again =
            read().map_err(|error| Undecodable(format!("not as the reader's schema: {error}")))?;
        self.decoder.decode(&again)
    }
}

fn wrong(error: apache_avro::Error) -> SchemaError {
    SchemaError::new(error.to_string())
}
