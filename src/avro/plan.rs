//! A registered schema, compiled once into what the encoder walks.

use std::collections::HashMap;

use super::json::Json;

/// Where a node is within its plan.
pub(super) type NodeId = usize;

/// A schema whose names are resolved; a type that refers to itself is a node
/// that its own parts point to.
#[derive(Debug)]
pub(super) struct Plan {
    pub nodes: Vec<Node>,
    pub root: NodeId,
}

#[derive(Debug)]
pub(super) enum Node {
    /// Named, and not described yet: only while compiling.
    Announced,
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed {
        size: usize,
    },
    Enum {
        /// Symbol → its place.
        symbols: HashMap<String, usize>,
    },
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record(Record),
}

#[derive(Debug)]
pub(super) struct Record {
    pub fields: Vec<Field>,
    /// Name → place in `fields`.
    pub places: HashMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: String,
    pub node: NodeId,
    pub default: Option<Json<'static>>,
}

impl Plan {
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The word for it in a message.
    pub fn word(&self, id: NodeId) -> &'static str {
        match self.node(id) {
            Node::Announced => "nothing",
            Node::Null => "null",
            Node::Boolean => "boolean",
            Node::Int => "int",
            Node::Long => "long",
            Node::Float => "float",
            Node::Double => "double",
            Node::Bytes => "bytes",
            Node::String => "string",
            Node::Fixed { .. } => "fixed",
            Node::Enum { .. } => "enum",
            Node::Array(_) => "array",
            Node::Map(_) => "map",
            Node::Union(_) => "union",
            Node::Record(_) => "record",
        }
    }

    /// Whether a value of this kind can be one at all, whatever is within it.
    pub fn takes_kind_of(&self, id: NodeId, value: &Json<'_>) -> bool {
        match self.node(id) {
            Node::Announced => false,
            Node::Null => matches!(value, Json::Null),
            Node::Boolean => matches!(value, Json::Bool(_)),
            Node::Int | Node::Long | Node::Float | Node::Double => {
                matches!(value, Json::Integer(_) | Json::Large(_) | Json::Float(_))
            }
            Node::Bytes | Node::String | Node::Fixed { .. } | Node::Enum { .. } => {
                matches!(value, Json::Text(_))
            }
            Node::Array(_) => matches!(value, Json::Array(_)),
            Node::Map(_) | Node::Record(_) => matches!(value, Json::Object(_)),
            Node::Union(branches) => branches
                .iter()
                .any(|branch| self.takes_kind_of(*branch, value)),
        }
    }
}
