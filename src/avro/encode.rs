//! From a payload's JSON to Avro's binary encoding, by the plan of its schema.
//!
//! A payload is plain JSON, which does not say which branch of a union a value
//! is of: it is the first that fits, in the schema's order. The rules for the
//! rest are those of the schema validation that payloads have passed so far:
//!
//! - a field that is missing is its default, or null where the schema takes
//!   null; a field that is there and null is null
//! - a member that the schema does not have is left out, and counted
//! - an int or long is a number without fraction, in range; a float or double
//!   any number in range
//! - bytes and fixed are texts of the characters U+0000 to U+00FF, a byte each,
//!   as in Avro's own JSON encoding
//! - a logical type changes nothing

use std::borrow::Cow;

use super::json::Json;
use super::misfit::{Misfit, Step};
use super::plan::{Field, Node, NodeId, Plan, Record};
use super::schema::{self, SchemaError};

/// Defaults within defaults; payloads cannot be nested deeper than that.
const DEEPEST: usize = 256;

/// Values looked at for each byte of the payload, and for any payload. Only
/// unions of records within such unions come anywhere near.
const LOOKS_A_BYTE: usize = 64;
const LOOKS: usize = 100_000;

/// Encodes payloads of one schema.
#[derive(Debug)]
pub struct Encoder {
    plan: Plan,
}

/// What [`Encoder::encode`] left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Members of the payload that the schema does not have.
    pub left_out: u64,
}

impl Encoder {
    /// `definition` is the schema's JSON text.
    pub fn new(definition: &str) -> Result<Self, SchemaError> {
        schema::compile(definition).map(|plan| Self { plan })
    }

    /// Appends the payload's encoding to `out`, which is as it was after an
    /// error.
    pub fn encode(&self, payload: &str, out: &mut Vec<u8>) -> Result<Encoded, Misfit> {
        let start = out.len();
        let value = Json::parse(payload)
            .map_err(|error| Misfit::new(format!("the payload cannot be read: {error}")))?;
        let mut walk = Walk {
            plan: &self.plan,
            out,
            left_out: 0,
            depth: 0,
            looks: LOOKS + LOOKS_A_BYTE * payload.len(),
        };
        match walk.value(self.plan.root, &value) {
            Ok(()) => Ok(Encoded {
                left_out: walk.left_out,
            }),
            Err(misfit) => {
                out.truncate(start);
                Err(misfit)
            }
        }
    }
}

/// One payload on its way.
struct Walk<'w> {
    plan: &'w Plan,
    out: &'w mut Vec<u8>,
    left_out: u64,
    depth: usize,
    /// How many more values may be looked at.
    looks: usize,
}

type Written = Result<(), Misfit>;

impl Walk<'_> {
    fn value(&mut self, id: NodeId, value: &Json<'_>) -> Written {
        if self.looks == 0 {
            return Err(Misfit::new(
                "too many ways to read it as the schema's unions",
            ));
        }
        self.looks -= 1;
        if self.depth == DEEPEST {
            return Err(Misfit::new("the schema's defaults have no end"));
        }
        self.depth += 1;
        let written = self.value_of(id, value);
        self.depth -= 1;
        written
    }

    fn value_of(&mut self, id: NodeId, value: &Json<'_>) -> Written {
        match (self.plan.node(id), value) {
            (Node::Union(branches), value) => return self.union(branches, value),
            (Node::Record(record), Json::Object(members)) => return self.record(record, members),
            (Node::Array(items), Json::Array(values)) => return self.array(*items, values),
            (Node::Map(values), Json::Object(members)) => return self.map(*values, members),
            (Node::Int | Node::Long | Node::Float | Node::Double, _) => {
                return self.number(id, value);
            }
            (Node::Null, Json::Null) => {}
            (Node::Boolean, Json::Bool(value)) => self.out.push(u8::from(*value)),
            (Node::String, Json::Text(text)) => self.block(text.as_bytes()),
            (Node::Bytes, Json::Text(text)) => {
                let bytes = bytes(text)?;
                self.block(&bytes);
            }
            (Node::Fixed { size }, Json::Text(text)) => return self.fixed(*size, text),
            (Node::Enum { symbols }, Json::Text(text)) => match symbols.get(text.as_ref()) {
                Some(place) => self.long(*place as i64),
                None => {
                    return Err(Misfit::new(format!(
                        "{:?} is none of the enum's symbols",
                        short(text)
                    )));
                }
            },
            _ => return Err(self.other_kind(id, value)),
        }
        Ok(())
    }

    fn other_kind(&self, id: NodeId, value: &Json<'_>) -> Misfit {
        let (found, wanted) = (value.kind(), self.plan.word(id));
        Misfit::new(format!("{found}, where the schema has {wanted}"))
    }

    /// Zigzag and variable length, as Avro has it for int, long and lengths.
    fn long(&mut self, value: i64) {
        write_long(self.out, value);
    }

    fn block(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.out.extend_from_slice(bytes);
    }

    /// The JSON parser gives −0 as a double.
    fn number(&mut self, id: NodeId, value: &Json<'_>) -> Written {
        match (self.plan.node(id), value) {
            (Node::Int, Json::Integer(value)) if i32::try_from(*value).is_ok() => self.long(*value),
            (Node::Long, Json::Integer(value)) => self.long(*value),
            (Node::Int | Node::Long, Json::Integer(_) | Json::Large(_)) => {
                let wanted = self.plan.word(id);
                return Err(Misfit::new(format!(
                    "an integer beyond the range of {wanted}"
                )));
            }
            (Node::Int | Node::Long, Json::Float(value)) if is_minus_zero(*value) => self.long(0),
            (Node::Float | Node::Double, value) => return self.floating(id, value),
            _ => return Err(self.other_kind(id, value)),
        }
        Ok(())
    }

    fn floating(&mut self, id: NodeId, value: &Json<'_>) -> Written {
        let double = match value {
            Json::Integer(value) => *value as f64,
            Json::Large(value) => *value as f64,
            Json::Float(value) => *value,
            _ => return Err(self.other_kind(id, value)),
        };
        let float = double as f32;
        match self.plan.node(id) {
            Node::Float if float.is_infinite() => {
                return Err(Misfit::new("a number beyond the range of float"));
            }
            Node::Float => self.out.extend_from_slice(&float.to_le_bytes()),
            _ => self.out.extend_from_slice(&double.to_le_bytes()),
        }
        Ok(())
    }

    fn fixed(&mut self, size: usize, text: &str) -> Written {
        let bytes = bytes(text)?;
        if bytes.len() != size {
            let found = bytes.len();
            return Err(Misfit::new(format!(
                "{found} bytes, where the schema has {size}"
            )));
        }
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn array(&mut self, items: NodeId, values: &[Json<'_>]) -> Written {
        if !values.is_empty() {
            self.long(values.len() as i64);
            for (place, value) in values.iter().enumerate() {
                self.value(items, value)
                    .map_err(|misfit| misfit.within(Step::Item(place)))?;
            }
        }
        self.long(0);
        Ok(())
    }

    fn map(&mut self, values: NodeId, members: &[(Cow<'_, str>, Json<'_>)]) -> Written {
        if !members.is_empty() {
            self.long(members.len() as i64);
            for (name, value) in members {
                self.block(name.as_bytes());
                self.value(values, value)
                    .map_err(|misfit| misfit.within(Step::Member(name.to_string())))?;
            }
        }
        self.long(0);
        Ok(())
    }

    fn record(&mut self, record: &Record, members: &[(Cow<'_, str>, Json<'_>)]) -> Written {
        let mut given: Vec<Option<&Json<'_>>> = vec![None; record.fields.len()];
        for (name, value) in members {
            match record.places.get(name.as_ref()) {
                Some(place) => given[*place] = Some(value),
                None => self.left_out += 1,
            }
        }
        for (field, value) in record.fields.iter().zip(given) {
            let written = match value {
                Some(value) => self.value(field.node, value),
                None => self.missing(field),
            };
            written.map_err(|misfit| misfit.within(Step::Member(field.name.clone())))?;
        }
        Ok(())
    }

    fn missing(&mut self, field: &Field) -> Written {
        let missing = match &field.default {
            Some(default) => {
                let written = self.value(field.node, default);
                return written.map_err(|_| Misfit::new("missing, and its default does not fit"));
            }
            None => &Json::Null,
        };
        match self.plan.takes_kind_of(field.node, missing) {
            true => self.value(field.node, missing),
            false => Err(Misfit::new("missing, and the schema has no default for it")),
        }
    }

    /// The first branch that fits. What is wrong is told of the only branch of
    /// the value's kind, or of the union.
    fn union(&mut self, branches: &[NodeId], value: &Json<'_>) -> Written {
        let (start, left_out) = (self.out.len(), self.left_out);
        let mut misfits = Vec::new();
        for (place, branch) in branches.iter().enumerate() {
            if !self.plan.takes_kind_of(*branch, value) {
                continue;
            }
            self.long(place as i64);
            match self.value(*branch, value) {
                Ok(()) => return Ok(()),
                Err(misfit) => misfits.push(misfit),
            }
            self.out.truncate(start);
            self.left_out = left_out;
        }
        if let Some(only) = misfits.pop()
            && (misfits.is_empty() || self.looks == 0)
        {
            return Err(only);
        }
        let words: Vec<&str> = branches.iter().map(|id| self.plan.word(*id)).collect();
        let (found, words) = (value.kind(), words.join(", "));
        Err(Misfit::new(format!("{found} that fits none of [{words}]")))
    }
}

/// Avro's long: zigzag, seven bits a byte, the lowest first.
pub(crate) fn write_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn is_minus_zero(value: f64) -> bool {
    value == 0.0 && value.is_sign_negative()
}

fn bytes(text: &str) -> Result<Vec<u8>, Misfit> {
    let byte = |c: char| u8::try_from(u32::from(c)).ok();
    let bytes: Option<Vec<u8>> = text.chars().map(byte).collect();
    bytes.ok_or_else(|| Misfit::new("a text with characters that stand for no byte"))
}

/// Enough of a text to know it.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
