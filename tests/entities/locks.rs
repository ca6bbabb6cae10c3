//! One instance publishes a type at a time.

use archive_ingest::config::{KernelKind, NamedBy};

use crate::kernel::{Kernel, eventually, random_uuid};

on_every_kernel!(
    a_type_is_locked_once_among_instances_and_within_one,
    locks_of_types_do_not_hinder_each_other,
);

fn a_type_is_locked_once_among_instances_and_within_one(kernel: &Kernel) {
    let own = kernel.one_type();
    let other = kernel.open();
    let lock = kernel.source.lock(&own.id).unwrap().expect("it is free");
    assert!(lock.is_held());
    assert!(other.lock(&own.id).unwrap().is_none());
    assert!(kernel.source.lock(&own.id).unwrap().is_none());
    drop(lock);
    let lock = other.lock(&own.id).unwrap().expect("it was given up");
    assert!(kernel.source.lock(&own.id).unwrap().is_none());
    drop(lock);
    drop(other);
    assert!(kernel.source.lock(&own.id).unwrap().is_some());
}

fn locks_of_types_do_not_hinder_each_other(kernel: &Kernel) {
    let schema = random_uuid();
    let (one, other) = (
        kernel.register("r1", schema, "Person"),
        kernel.register("r2", schema, "Person"),
    );
    let elsewhere = kernel.open();
    let first = kernel.source.lock(&one.id).unwrap().expect("it is free");
    let second = elsewhere.lock(&other.id).unwrap().expect("it is free");
    drop(first);
    assert!(second.is_held());
    assert!(elsewhere.lock(&one.id).unwrap().is_some());
}

#[test]
fn a_lock_whose_connection_the_server_ended_is_lost_and_says_so() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let own = kernel.one_type();
    let another = kernel.register("r", random_uuid(), "Visit");
    let lock = kernel.source.lock(&own.id).unwrap().expect("it is free");
    let same_session = kernel.source.lock(&another.id).unwrap().expect("free");
    kernel.application().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks
         WHERE locktype = 'advisory'
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    eventually("it is lost", || (!lock.is_held()).then_some(()));
    assert!(!same_session.is_held(), "all go with their session");
    let elsewhere = kernel.open();
    let new = eventually("it is free", || elsewhere.lock(&own.id).unwrap());
    assert!(!lock.is_held(), "for good");
    drop(lock);
    assert!(new.is_held(), "what is lost cannot be given up");
    drop(new);
    assert!(kernel.source.lock(&own.id).unwrap().is_some());
}

#[test]
fn an_instance_that_the_environment_configured_respects_the_same_locks() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let own = kernel.one_type();
    let lock = kernel.source.lock(&own.id).unwrap();
    let by_aether = kernel.open_with(|config| {
        if let KernelKind::Aether { named_by, .. } = &mut config.kind {
            *named_by = NamedBy::AetherEnvironment;
        }
    });
    assert!(by_aether.lock(&own.id).unwrap().is_none());
    drop(lock);
    assert!(by_aether.lock(&own.id).unwrap().is_some());
}
