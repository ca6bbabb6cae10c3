//! Which types there are.

use archive_ingest::entities::{EntityType, TypeId, conflicting, topic_conflicts};
use serde_json::Value;

use crate::kernel::{Kernel, Type, random_uuid, row};

on_every_kernel!(
    a_type_is_listed_with_its_schema_attribute_for_attribute,
    a_realm_without_an_entity_is_not_listed_until_it_has_one,
    realms_that_share_a_schema_have_a_type_each,
    projects_of_a_realm_that_share_a_schema_have_one_type,
    schemas_of_one_name_in_a_realm_are_both_listed_and_told_as_a_conflict,
);

/// The types of realms whose names start with `r`: those of the demo do not.
fn types(kernel: &Kernel) -> Vec<EntityType> {
    let mut types = kernel.source.types().unwrap();
    types.retain(|entity_type| entity_type.id.realm.starts_with('r'));
    types
}

fn ids(kernel: &Kernel) -> Vec<TypeId> {
    types(kernel).into_iter().map(|found| found.id).collect()
}

fn with_entity(kernel: &Kernel, of: &Type) {
    let id = rand::random();
    kernel
        .application()
        .insert(of, &row(id, "2026-01-01T00:00:00"));
}

fn a_type_is_listed_with_its_schema_attribute_for_attribute(kernel: &Kernel) {
    let definition = r#"{"type": "record", "name": "Person", "aetherMaskingLevel": "public",
        "fields": [{"name": "id", "type": "string", "logicalType": "uuid", "aether": {"x": [1, 1.50]}}]}"#;
    let own = kernel.register_as("r", random_uuid(), "Person", definition);
    with_entity(kernel, &own);
    let found = types(kernel);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, own.id);
    assert_eq!(found[0].schema_name, "Person");
    assert_eq!(found[0].decorators, [own.decorator]);
    assert_eq!(found[0].revision, "1");
    let as_json = |text: &str| text.parse::<Value>().unwrap();
    assert_eq!(as_json(&found[0].definition), as_json(definition));
}

fn a_realm_without_an_entity_is_not_listed_until_it_has_one(kernel: &Kernel) {
    let one = kernel.register("r1", random_uuid(), "Person");
    let other = kernel.register("r1", random_uuid(), "Visit");
    let empty = kernel.register("r2", random_uuid(), "Person");
    assert_eq!(ids(kernel), []);
    with_entity(kernel, &one);
    let mut of_realm = vec![one.id.clone(), other.id.clone()];
    of_realm.sort();
    assert_eq!(ids(kernel), of_realm, "all types of a realm that has one");
    with_entity(kernel, &empty);
    assert_eq!(ids(kernel).len(), 3);
}

fn realms_that_share_a_schema_have_a_type_each(kernel: &Kernel) {
    let schema = random_uuid();
    let (one, other) = (
        kernel.register("r1", schema, "Person"),
        kernel.register("r2", schema, "Person"),
    );
    with_entity(kernel, &one);
    with_entity(kernel, &other);
    with_entity(kernel, &other);
    assert_eq!(ids(kernel), [one.id.clone(), other.id.clone()]);
    assert_eq!(kernel.source.count(&one.id).unwrap(), 1);
    assert_eq!(kernel.source.count(&other.id).unwrap(), 2);
    assert_eq!(kernel.read_all(&one, 10).len(), 1);
    assert_eq!(kernel.read_all(&other, 10).len(), 2);
}

fn projects_of_a_realm_that_share_a_schema_have_one_type(kernel: &Kernel) {
    let schema = random_uuid();
    let (one, other) = (
        kernel.register("r1", schema, "Person"),
        kernel.register("r1", schema, "Person"),
    );
    with_entity(kernel, &one);
    with_entity(kernel, &other);
    let found = types(kernel);
    assert_eq!(found.len(), 1);
    let mut decorators = [one.decorator, other.decorator];
    decorators.sort();
    assert_eq!(found[0].decorators, decorators);
    assert_eq!(kernel.read_all(&one, 10).len(), 2, "of both projects");
}

fn schemas_of_one_name_in_a_realm_are_both_listed_and_told_as_a_conflict(kernel: &Kernel) {
    let one = kernel.register("r1", random_uuid(), "Person");
    let other = kernel.register("r1", random_uuid(), "Person");
    let elsewhere = kernel.register("r2", random_uuid(), "Person");
    for own in [&one, &other, &elsewhere] {
        with_entity(kernel, own);
    }
    let found = types(kernel);
    assert_eq!(found.len(), 3);
    let conflicts = topic_conflicts(&found);
    assert_eq!(conflicts.keys().collect::<Vec<_>>(), ["r1.Person"]);
    assert_eq!(conflicts["r1.Person"].len(), 2);
    // By whatever the topic is called.
    let by_name = conflicting(&found, |found| found.schema_name.clone());
    assert_eq!(by_name["Person"].len(), 3);
}

#[test]
fn a_realm_whose_name_ends_where_a_schemas_begins_is_a_conflict() {
    let entity_type = |realm: &str, name: &str| EntityType {
        id: TypeId {
            realm: realm.into(),
            schema_id: random_uuid(),
        },
        schema_name: name.into(),
        definition: "{}".into(),
        revision: "1".into(),
        decorators: vec![],
    };
    let types = [entity_type("a", "b.C"), entity_type("a.b", "C")];
    assert_eq!(topic_conflicts(&types)["a.b.C"].len(), 2);
}
