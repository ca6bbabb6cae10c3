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
        let mut values = VALUES.saturating_add(VALUES_A_BYTE.saturating_mul(datum.len()));
        let (value, rest) = self.decode_first(datum, &mut values)?;
        match rest.len() {
            0 => Ok(value),
            left => undecodable(format!("{left} bytes are left after the data")),
        }
    }

    /// The JSON of the first data, and the bytes after them. `values` is how
    /// many may come; what came is taken off it.
    pub(super) fn decode_first<'b>(
        &self,
        bytes: &'b [u8],
        values: &mut usize,
    ) -> Result<(Value, &'b [u8]), Undecodable> {
        let mut walk = Walk {
            plan: &self.plan,
            rest: bytes,
            depth: 0,
            values,
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
    /// How many more may come.
    values: &'w mut usize,
}

type Read<T> = Result<T, Undecodable>;

impl<'b> Walk<'_, 'b> {
    fn value(&mut self, id: NodeId) -> Read<Value> {
        if *self.values == 0 {
            return undecodable("more values than are shown of so few bytes");
        }
        *self.values -= 1;
        if self.depth == DEEPEST {
            return undecodable(format!("nested deeper than {DEEPEST}"));
        }
        self.depth += 1;
        let value = self.value_of(id);
        self.depth -= 1;
        value
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
            Node::Bytes => text_of(self.block()?),
            Node::Fixed { size } => text_of(self.take(*size)?),
            Node::String => Value::String(self.string()?),
            Node::Enum { symbols } => {
                let place = self.long()?;
                let is_at = |found: &usize| i64::try_from(*found) == Ok(place);
                match symbols.iter().find(|(_, found)| is_at(found)) {
                    Some((symbol, _)) => Value::String(symbol.clone()),
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
                let mut members = Map::with_capacity(record.fields.len());
                for field in &record.fields {
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
        match std::str::from_utf8(self.block()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => undecodable("a string that is not UTF-8"),
        }
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

/// A character for each byte.
fn text_of(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().map(|byte| char::from(*byte)).collect())
}
