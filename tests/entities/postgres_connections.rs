//! How many connections are used, and that nothing is left open on them.

use std::time::Duration;

use archive_ingest::entities::Position;

use crate::kernel::{Kernel, Row, eventually, far_future, random_uuid, row};

const OURS: &str = "SELECT pid, state, xact_start IS NOT NULL FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'archive_ingest reader'";

#[test]
fn all_types_together_keep_to_the_budget_and_leave_no_transaction_open() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let types: Vec<_> = (0..8)
        .map(|n| kernel.register("r", random_uuid(), &format!("T{n}")))
        .collect();
    let mut application = kernel.application();
    for (n, own) in (0..).zip(&types) {
        let rows: Vec<Row> = (0..100)
            .map(|m| row(n * 1000 + m, &format!("2026-01-01T00:00:00.{m:06}")))
            .collect();
        application.insert_all(own, &rows);
    }
    let locks: Vec<_> = types
        .iter()
        .map(|own| kernel.source.lock(&own.id).unwrap().expect("free"))
        .collect();
    let mut watcher = match kernel.application() {
        crate::kernel::Application::Server(client) => client,
        crate::kernel::Application::File(_) => unreachable!("a server"),
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = types
            .iter()
            .map(|own| {
                let source = &kernel.source;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let bound = far_future();
                        let page = source.page(&own.id, &Position::start(), &bound, 50, 1 << 20);
                        assert_eq!(page.unwrap().entities.len(), 50);
                        source.bound().unwrap();
                    }
                })
            })
            .collect();
        while readers.iter().any(|reader| !reader.is_finished()) {
            assert!(watcher.query(OURS, &[]).unwrap().len() <= 3);
            std::thread::sleep(Duration::from_millis(5));
        }
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
    let open = watcher.query(OURS, &[]).unwrap();
    assert!(open.iter().all(|row| !row.get::<_, bool>(2)), "{open:?}");
    assert!(locks.iter().all(|lock| lock.is_held()));
}

#[test]
fn a_connection_that_the_server_ended_is_replaced() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let own = kernel.one_type();
    kernel
        .application()
        .insert(&own, &row(1, "2026-01-01T00:00:00"));
    assert_eq!(kernel.source.count(&own.id).unwrap(), 1);
    kernel.application().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'archive_ingest reader'",
    );
    eventually("it is read again", || kernel.source.count(&own.id).ok());
}

#[test]
fn nothing_can_be_written_by_a_reading_session() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    // A view that writes when it is read.
    kernel.application().execute(
        "CREATE TABLE written (n int);
         CREATE FUNCTION write() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO written VALUES (1); RETURN true; END $$;
         DROP VIEW kernel_entity_vw;
         CREATE VIEW kernel_entity_vw AS
         SELECT entity.id, payload, entity.modified, schema_id, realm, schemadecorator_id
         FROM kernel_entity AS entity JOIN kernel_schema_vw USING (schemadecorator_id)
         WHERE write()",
    );
    let own = kernel.one_type();
    kernel
        .application()
        .insert(&own, &row(1, "2026-01-01T00:00:00"));
    let error = kernel.source.count(&own.id).unwrap_err().to_string();
    assert!(error.contains("read-only transaction"), "{error}");
}
