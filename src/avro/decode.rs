//! From Avro's binary encoding to JSON, by the plan of its schema: what
//! [`Encoder`](super::Encoder) makes of this JSON are the same bytes again.
//!
//! Bytes and fixed are texts of the characters U+0000 to U+00FF; a value of a
//! union is that value alone; a float or double that JSON has no number for is
//! one of the texts `NaN`, `Infinity`, `-Infinity`; a logical type changes
//! nothing.

use serde_json::{Map, Value};

use super::plan::{Node, NodeId, Plan};
use super::schema::{self, SchemaError};

/// Data within data; no encoder of payloads goes deeper.
const DEEPEST: usize = 256;

/// Values for each byte, and for any data: items of an array may take no bytes.
const VALUES_A_BYTE: usize = 16;
const VALUES: usize = 10_000;

/// Bytes that everything decoded together may take, in memory or indented as
/// JSON: the names of a record's fields are in its schema, so that a few bytes of
/// data can stand for any number.
const MAX_SHOWN_BYTES: usize = 64 << 20;

/// Bytes of a value, and of a member of an object, beside their texts.
const VALUE_BYTES: usize = 32;
const MEMBER_BYTES: usize = 64;

/// How much may still be decoded.
pub(super) struct Bounds {
    pub values: usize,
    bytes: usize,
}

impl Bounds {
    pub fn new(values: usize) -> Self {
        Self {
            values,
            bytes: MAX_SHOWN_BYTES,
        }
    }
}

/// Why bytes are no data of a schema, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub(super) String);

pub(super) fn undecodable<T>(why: impl Into<String>) -> Result<T, Undecodable> {
    Err(Undecodable(why.into()))
}

/// Decodes data of one schema.
#[derive(Debug)]
pub struct Decoder {
    plan: Plan,
}

impl Decoder {
    /// `definition` is the schema's JSON text; `references` are those of the
    /// schemas whose types it names, each after the ones that it names itself.
    pub fn new(definition: &str, references: &[String]) -> Result<Self, SchemaError> {
        let references = references.iter().map(String::as_str);
        schema::compile_after(references, definition).map(|plan| Self { plan })
    }

    /// The JSON of data, which end where the bytes end.
    pub fn decode(&self, datum: &[u8]) -> Result<Value, Undecodable> {
        let values = VALUES.saturating_add(VALUES_A_BYTE.saturating_mul(datum.len()));
        let (value, rest) = self.decode_first(datum, &mut Bounds::new(values))?;
        match rest.len() {
            0 => Ok(value),
            left => undecodable(format!("{left} bytes are left after the data")),
        }
    }

    /// The JSON of the first data, and the bytes after them. What came is taken
    /// off `bounds`.
    pub(super) fn decode_first<'b>(
        &self,
        bytes: &'b [u8],
        bounds: &mut Bounds,
    ) -> Result<(Value, &'b [u8]), Undecodable> {
        let mut walk = Walk {
            plan: &self.plan,
            rest: bytes,
            depth: 0,
            bounds,
        };
        let value = walk.value(self.plan.root)?;
        Ok((value, walk.rest))
    }
}

/// Some data on their way.
struct Walk<'w, 'b> {
    plan: &'w Plan,
    rest: &'b [u8],
    depth: usize,
    bounds: &'w mut Bounds,
}

type Read<T> = Result<T, Undecodable>;

impl<'b> Walk<'_, 'b> {
    fn value(&mut self, id: NodeId) -> Read<Value> {
        if self.bounds.values == 0 {
            return undecodable("more values than are shown of so few bytes");
        }
        self.bounds.values -= 1;
        // Indented, its line begins with two spaces a level.
        self.take_room(VALUE_BYTES + 2 * self.depth)?;
        if self.depth == DEEPEST {
            return undecodable(format!("nested deeper than {DEEPEST}"));
        }
        self.depth += 1;
        let value = self.value_of(id);
        self.depth -= 1;
        value
    }

    /// Takes bytes off what may be shown.
    fn take_room(&mut self, bytes: usize) -> Read<()> {
        match self.bounds.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bounds.bytes = left;
                Ok(())
            }
            None => undecodable(format!(
                "decoded they are more than {} MiB",
                MAX_SHOWN_BYTES >> 20
            )),
        }
    }

    fn value_of(&mut self, id: NodeId) -> Read<Value> {
        Ok(match self.plan.node(id) {
            Node::Announced => return undecodable("a type that is never described"),
            Node::Null => Value::Null,
            Node::Boolean => match self.take(1)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                other => return undecodable(format!("{} where a boolean should be", other[0])),
            },
            Node::Int => Value::from(self.int()?),
            Node::Long => Value::from(self.long()?),
            Node::Float => floating(f64::from(f32::from_le_bytes(self.array()?))),
            Node::Double => floating(f64::from_le_bytes(self.array()?)),
            Node::Bytes => {
                let bytes = self.block()?;
                self.text_of(bytes)?
            }
            Node::Fixed { size } => {
                let bytes = self.take(*size)?;
                self.text_of(bytes)?
            }
            Node::String => Value::String(self.string()?),
            Node::Enum { symbols } => {
                let place = self.long()?;
                let is_at = |found: &usize| i64::try_from(*found) == Ok(place);
                match symbols.iter().find(|(_, found)| is_at(found)) {
                    Some((symbol, _)) => {
                        self.take_room(symbol.len())?;
                        Value::String(symbol.clone())
                    }
                    None => return undecodable(format!("symbol {place} of an enum that has none")),
                }
            }
            Node::Union(branches) => {
                let place = self.long()?;
                let branch = usize::try_from(place).ok();
                match branch.and_then(|place| branches.get(place)) {
                    Some(branch) => self.value(*branch)?,
                    None => return undecodable(format!("branch {place} of a union without it")),
                }
            }
            Node::Array(items) => self.items(*items)?,
            Node::Map(values) => self.members(*values)?,
            Node::Record(record) => {
                self.take_room(MEMBER_BYTES * record.fields.len())?;
                let mut members = Map::with_capacity(record.fields.len());
                for field in &record.fields {
                    self.take_room(field.name.len())?;
                    members.insert(field.name.clone(), self.value(field.node)?);
                }
                Value::Object(members)
            }
        })
    }

    fn items(&mut self, of: NodeId) -> Read<Value> {
        let mut items = Vec::new();
        self.blocks(|walk| {
            items.push(walk.value(of)?);
            Ok(())
        })?;
        Ok(Value::Array(items))
    }

    fn members(&mut self, of: NodeId) -> Read<Value> {
        let mut members = Map::new();
        self.blocks(|walk| {
            let name = walk.string()?;
            walk.take_room(MEMBER_BYTES)?;
            members.insert(name, walk.value(of)?);
            Ok(())
        })?;
        Ok(Value::Object(members))
    }

    /// Each item of an array's or map's blocks; a count below 0 is followed by
    /// the block's size.
    fn blocks(&mut self, mut each: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                each(self)?;
            }
        }
    }

    fn take(&mut self, count: usize) -> Read<&'b [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => undecodable("the bytes end before the data do"),
        }
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn block(&mut self) -> Read<&'b [u8]> {
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) => self.take(length),
            Err(_) => undecodable(format!("a length of {length}")),
        }
    }

    fn string(&mut self) -> Read<String> {
        let bytes = self.block()?;
        self.take_room(bytes.len())?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => undecodable("a string that is not UTF-8"),
        }
    }

    /// A character for each byte.
    fn text_of(&mut self, bytes: &[u8]) -> Read<Value> {
        self.take_room(2 * bytes.len())?;
        let text = bytes.iter().map(|byte| char::from(*byte));
        Ok(Value::String(text.collect()))
    }

    fn int(&mut self) -> Read<i32> {
        let long = self.long()?;
        match i32::try_from(long) {
            Ok(int) => Ok(int),
            Err(_) => undecodable(format!("{long}, beyond the range of int")),
        }
    }

    fn long(&mut self) -> Read<i64> {
        read_long(&mut self.rest)
    }
}

/// Takes a long off the beginning: zigzag, seven bits a byte, the lowest first.
pub(super) fn read_long(rest: &mut &[u8]) -> Read<i64> {
    let mut zigzag = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, after)) = rest.split_first() else {
            return undecodable("the bytes end before the data do");
        };
        *rest = after;
        if shift == 63 && *byte > 1 {
            break;
        }
        zigzag |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        }
    }
    undecodable("a number of more than 64 bits")
}

fn floating(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}
