//! From a registered Avro schema to a plan
//! (<https://avro.apache.org/docs/1.12.0/specification/>).
//!
//! What the encoder does not need is not looked at: documentation, aliases,
//! logical types, and whatever attributes the registry has beside. The text
//! itself goes into every container as it is.

use std::collections::HashMap;

use super::json::Json;
use super::plan::{Field, Node, NodeId, Plan, Record};

/// Why nothing can be encoded with this schema, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registered schema is no Avro schema: {0}")]
pub struct SchemaError(String);

type Compiled<T> = Result<T, SchemaError>;

impl SchemaError {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

fn wrong<T>(why: impl Into<String>) -> Compiled<T> {
    Err(SchemaError(why.into()))
}

/// Compiles the schema's JSON text.
pub(super) fn compile(definition: &str) -> Compiled<Plan> {
    compile_after([], definition)
}

/// The same with what the schemas before it have described: it may name their
/// types.
pub(super) fn compile_after<'s>(
    before: impl IntoIterator<Item = &'s str>,
    definition: &'s str,
) -> Compiled<Plan> {
    let mut compiler = Compiler::default();
    let mut root = 0;
    for text in before.into_iter().chain([definition]) {
        let json = match Json::parse(text) {
            Ok(json) => json,
            Err(error) => return wrong(format!("it is no JSON: {error}")),
        };
        root = compiler.any(&json, "")?;
    }
    Ok(Plan {
        nodes: compiler.nodes,
        root,
    })
}

#[derive(Default)]
struct Compiler {
    nodes: Vec<Node>,
    /// Full name → its node.
    named: HashMap<String, NodeId>,
}

impl Compiler {
    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// `space` is the namespace around it, empty where there is none.
    fn any(&mut self, schema: &Json<'_>, space: &str) -> Compiled<NodeId> {
        match schema {
            Json::Text(name) => self.by_name(name, space),
            Json::Array(branches) => self.union(branches, space),
            Json::Object(_) => self.described(schema, space),
            other => wrong(format!("{} where a type should be", other.kind())),
        }
    }

    fn by_name(&mut self, name: &str, space: &str) -> Compiled<NodeId> {
        if let Some(node) = primitive(name) {
            return Ok(self.add(node));
        }
        let full = full_name(name, space);
        match self.named.get(&full) {
            Some(id) => Ok(*id),
            None => wrong(format!("type {full:?} is not defined before it is used")),
        }
    }

    fn described(&mut self, schema: &Json<'_>, space: &str) -> Compiled<NodeId> {
        let Some(kind) = schema.member("type") else {
            return wrong("an object without \"type\" where a type should be");
        };
        let Json::Text(kind) = kind else {
            return self.any(kind, space);
        };
        match kind.as_ref() {
            "record" | "error" => self.record(schema, space),
            "enum" => self.enumeration(schema, space),
            "fixed" => self.fixed(schema, space),
            "array" => {
                let items = self.part(schema, "items", space)?;
                Ok(self.add(Node::Array(items)))
            }
            "map" => {
                let values = self.part(schema, "values", space)?;
                Ok(self.add(Node::Map(values)))
            }
            name => self.by_name(name, space),
        }
    }

    fn part(&mut self, schema: &Json<'_>, name: &str, space: &str) -> Compiled<NodeId> {
        match schema.member(name) {
            Some(part) => self.any(part, space),
            None => wrong(format!("an array or map without {name:?}")),
        }
    }

    fn union(&mut self, branches: &[Json<'_>], space: &str) -> Compiled<NodeId> {
        let mut ids = Vec::with_capacity(branches.len());
        for branch in branches {
            let id = self.any(branch, space)?;
            match &self.nodes[id] {
                Node::Union(_) => return wrong("a union directly within a union"),
                _ if self.is_repeated(&ids, id) => {
                    return wrong("a union that has a type twice");
                }
                _ => ids.push(id),
            }
        }
        match ids.is_empty() {
            true => wrong("a union without a type"),
            false => Ok(self.add(Node::Union(ids))),
        }
    }

    /// Named types may be several of a kind, all others only once.
    fn is_repeated(&self, ids: &[NodeId], id: NodeId) -> bool {
        let kind = |id: NodeId| std::mem::discriminant(&self.nodes[id]);
        ids.contains(&id)
            || !is_named(&self.nodes[id]) && ids.iter().any(|other| kind(*other) == kind(id))
    }

    /// Gives a named type its place, so that its own parts can refer to it.
    fn announce(&mut self, schema: &Json<'_>, space: &str) -> Compiled<(NodeId, String)> {
        let Some(name) = schema.member("name").and_then(Json::text) else {
            return wrong("a record, enum or fixed without a name");
        };
        let own = schema.member("namespace").and_then(Json::text);
        let full = full_name(name, own.unwrap_or(space));
        if !full.split('.').all(is_name) {
            return wrong(format!("{full:?} is no name"));
        }
        if primitive(&full).is_some() {
            return wrong(format!("a named type cannot be called {full:?}"));
        }
        let id = self.add(Node::Announced);
        if self.named.insert(full.clone(), id).is_some() {
            return wrong(format!("type {full:?} is defined twice"));
        }
        let inner = full.rsplit_once('.').map_or("", |(space, _)| space);
        Ok((id, inner.to_owned()))
    }

    fn record(&mut self, schema: &Json<'_>, space: &str) -> Compiled<NodeId> {
        let (id, space) = self.announce(schema, space)?;
        let Some(Json::Array(described)) = schema.member("fields") else {
            return wrong("a record without \"fields\"");
        };
        let mut fields = Vec::with_capacity(described.len());
        let mut places = HashMap::with_capacity(described.len());
        for field in described {
            let field = self.field(field, &space)?;
            if places.insert(field.name.clone(), fields.len()).is_some() {
                return wrong(format!("a record with two fields {:?}", field.name));
            }
            fields.push(field);
        }
        self.nodes[id] = Node::Record(Record { fields, places });
        Ok(id)
    }

    fn field(&mut self, field: &Json<'_>, space: &str) -> Compiled<Field> {
        let Some(name) = field.member("name").and_then(Json::text) else {
            return wrong("a field without a name");
        };
        if !is_name(name) {
            return wrong(format!("{name:?} is no field's name"));
        }
        let Some(schema) = field.member("type") else {
            return wrong(format!("field {name:?} has no type"));
        };
        Ok(Field {
            name: name.to_owned(),
            node: self.any(schema, space)?,
            default: field.member("default").cloned().map(Json::into_owned),
        })
    }

    fn enumeration(&mut self, schema: &Json<'_>, space: &str) -> Compiled<NodeId> {
        let (id, _) = self.announce(schema, space)?;
        let Some(Json::Array(listed)) = schema.member("symbols") else {
            return wrong("an enum without \"symbols\"");
        };
        let mut symbols = HashMap::with_capacity(listed.len());
        for (place, symbol) in listed.iter().enumerate() {
            match symbol.text() {
                Some(symbol) if is_name(symbol) => {
                    if symbols.insert(symbol.to_owned(), place).is_some() {
                        return wrong(format!("an enum with symbol {symbol:?} twice"));
                    }
                }
                Some(symbol) => return wrong(format!("{symbol:?} is no enum's symbol")),
                None => return wrong(format!("{} where a symbol should be", symbol.kind())),
            }
        }
        self.nodes[id] = Node::Enum { symbols };
        Ok(id)
    }

    fn fixed(&mut self, schema: &Json<'_>, space: &str) -> Compiled<NodeId> {
        let (id, _) = self.announce(schema, space)?;
        let size = match schema.member("size") {
            Some(Json::Integer(size)) => usize::try_from(*size).ok(),
            _ => None,
        };
        match size {
            Some(size) => {
                self.nodes[id] = Node::Fixed { size };
                Ok(id)
            }
            None => wrong("a fixed without a size"),
        }
    }
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

/// Announced stands for a record around this place.
fn is_named(node: &Node) -> bool {
    matches!(
        node,
        Node::Announced | Node::Record(_) | Node::Enum { .. } | Node::Fixed { .. }
    )
}

fn full_name(name: &str, space: &str) -> String {
    match name.contains('.') || space.is_empty() {
        true => name.to_owned(),
        false => format!("{space}.{name}"),
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}
