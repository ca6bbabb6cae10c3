//! What is told before anything is read.

use archive_ingest::config::{KernelKind, NamedBy, PostgresConfig};
use archive_ingest::entities::{EntitySource, SourceError};
use jiff::tz::TimeZone;

use crate::kernel::{Kernel, Stranger, random_uuid, row};

fn named(kernel: &Kernel, server: PostgresConfig, named_by: NamedBy) -> Box<dyn EntitySource> {
    kernel.open_with(|config| config.kind = KernelKind::Aether { server, named_by })
}

#[test]
fn a_sound_kernel_has_nothing_to_warn_of() {
    assert_eq!(Kernel::demo().source.check().unwrap(), [""; 0]);
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let Some(superuser) = crate::kernel::superuser(kernel.server()) else {
        return;
    };
    let source = named(&kernel, superuser, NamedBy::Stanza);
    assert_eq!(source.check().unwrap(), [""; 0]);
}

#[test]
fn a_privilege_that_is_missing_is_named_with_its_grant() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let Some(stranger) = Stranger::of(&kernel) else {
        return;
    };
    let warnings = stranger.open(&kernel).check().unwrap();
    let grant = format!("GRANT pg_read_all_stats TO {}", stranger.config.username);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with(&grant), "{warnings:?}");
    let mut superuser = kernel.superuser().unwrap();
    superuser.batch_execute(&grant).unwrap();
    assert_eq!(stranger.open(&kernel).check().unwrap(), [""; 0]);
}

#[test]
fn an_order_that_is_not_that_of_bytes_is_told_with_its_collation() {
    let Some(kernel) = Kernel::postgres_of_a_language() else {
        return;
    };
    let warnings = kernel.source.check().unwrap();
    let told = warnings.iter().any(|line| line.contains("not as bytes"));
    assert!(told, "{warnings:?}");
}

#[test]
fn a_column_with_a_collation_of_its_own_goes_before_the_databases() {
    let (Some(bytes), Some(language)) = (Kernel::postgres(), Kernel::postgres_of_a_language())
    else {
        return;
    };
    for (kernel, collation, is_bytes) in [(&bytes, "en-x-icu", false), (&language, "C", true)] {
        kernel.application().execute(&format!(
            "DROP VIEW kernel_entity_vw;
             ALTER TABLE kernel_entity ALTER modified TYPE varchar(100) COLLATE \"{collation}\";
             CREATE VIEW kernel_entity_vw AS
             SELECT entity.id, payload, entity.modified, schema_id, realm, schemadecorator_id
             FROM kernel_entity AS entity JOIN kernel_schema_vw USING (schemadecorator_id)"
        ));
        let warnings = kernel.source.check().unwrap();
        let told = warnings.iter().any(|line| line.contains("not as bytes"));
        assert_eq!(told, !is_bytes, "{collation}: {warnings:?}");
    }
}

#[test]
fn a_database_that_is_no_kernel_is_refused_in_the_words_of_whoever_named_it() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let view = "kernel_entity_vw";
    kernel.application().execute(&format!("DROP VIEW {view}"));
    for (named_by, remedy) in [
        (
            NamedBy::Stanza,
            "correct kernel-name, or have the kernel make its views",
        ),
        (
            NamedBy::AetherEnvironment,
            "correct POSTGRES_DBNAME, or have the kernel make its views",
        ),
    ] {
        let source = named(&kernel, kernel.server().clone(), named_by);
        let error = source.check().unwrap_err();
        assert!(matches!(error, SourceError::Refused { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "{}: its views are not a kernel's (relation \"{view}\" does not exist): {remedy}",
                source.describe()
            )
        );
    }
}

#[test]
fn a_wrong_password_is_refused_and_never_shown() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let server = PostgresConfig {
        password: Some("hunter2".into()),
        ..kernel.server().clone()
    };
    let source = named(&kernel, server, NamedBy::AetherEnvironment);
    let error = source.check().unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }));
    let text = error.to_string();
    assert!(
        text.ends_with("check POSTGRES_USER and POSTGRES_PASSWORD"),
        "{text}"
    );
    assert!(!text.contains("hunter2"));
}

#[test]
fn views_that_may_not_be_read_are_named() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let Some(stranger) = Stranger::of(&kernel) else {
        return;
    };
    let name = &stranger.config.username;
    kernel
        .application()
        .execute(&format!("REVOKE ALL ON kernel_entity_vw FROM {name}"));
    let text = stranger.open(&kernel).check().unwrap_err().to_string();
    assert!(
        text.contains("lacks a permission (permission denied for view kernel_entity_vw): grant it"),
        "{text}"
    );
}

#[test]
fn stamps_that_are_yet_to_come_tell_of_a_wrong_zone_or_clock() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let own = kernel.one_type();
    let hour_ahead = jiff::Timestamp::now().to_zoned(TimeZone::fixed(jiff::tz::offset(1)));
    let stamp = hour_ahead.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string();
    let id = random_uuid().as_u128();
    kernel.application().insert(&own, &row(id, &stamp));
    let told = |warnings: Vec<String>| warnings.iter().any(|line| line.contains(&stamp));
    assert!(told(kernel.source.check().unwrap()));
    let in_zone = kernel.open_with(|config| {
        config.bound.time_zone = TimeZone::fixed(jiff::tz::offset(1));
    });
    assert!(!told(in_zone.check().unwrap()));
}
