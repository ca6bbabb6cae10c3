//! Types that would be mixed up with each other.

use std::collections::BTreeMap;

use super::EntityType;

/// The types that share a key with another one, by that key: `key_of` is, for
/// example, the topic that a type is published to. Nothing of the kind is empty.
pub fn conflicting<K: Ord>(
    types: &[EntityType],
    key_of: impl Fn(&EntityType) -> K,
) -> BTreeMap<K, Vec<&EntityType>> {
    let mut by_key: BTreeMap<K, Vec<&EntityType>> = BTreeMap::new();
    for entity_type in types {
        by_key
            .entry(key_of(entity_type))
            .or_default()
            .push(entity_type);
    }
    by_key.retain(|_, of_key| of_key.len() > 1);
    by_key
}

/// The types that share `{realm}.{schema_name}` with another one: two schemas of
/// one name in a realm, and realms whose names end where a schema's begins.
pub fn topic_conflicts(types: &[EntityType]) -> BTreeMap<String, Vec<&EntityType>> {
    conflicting(types, |entity_type| {
        format!("{}.{}", entity_type.id.realm, entity_type.schema_name)
    })
}
