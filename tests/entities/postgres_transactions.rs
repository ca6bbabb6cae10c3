//! What holds the bound back, and what does not.

use std::time::Duration;

use archive_ingest::entities::Bound;

use crate::kernel::{Kernel, MARGIN, Stranger, Type, WINDOW, eventually, row_now, stamp};

/// Longer than everything but an open transaction holds the bound back.
const LONG: Duration = Duration::from_millis(600);

fn moves_on(source: &dyn archive_ingest::entities::EntitySource) -> Bound {
    let now = stamp(Duration::ZERO);
    eventually("the bound moves on", || {
        let bound = source.bound().unwrap();
        (bound.below.as_str() > now.as_str()).then_some(bound)
    })
}

/// That the bound stays at or below a position while the time goes on.
#[track_caller]
fn stays_below(source: &dyn archive_ingest::entities::EntitySource, position: &str) -> Bound {
    let until = std::time::Instant::now() + WINDOW + MARGIN + LONG;
    loop {
        let bound = source.bound().unwrap();
        assert!(bound.below.as_str() <= position, "{bound:?} {position}");
        if std::time::Instant::now() > until {
            return bound;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has_prepared_transactions(kernel: &Kernel) -> bool {
    let crate::kernel::Application::Server(mut client) = kernel.application() else {
        unreachable!("a server");
    };
    let row = client.query_one("SHOW max_prepared_transactions", &[]);
    let has = row.unwrap().get::<_, String>(0) != "0";
    if !has {
        assert!(std::env::var("CI").as_deref() != Ok("true"));
        eprintln!("SKIPPED: the server has max_prepared_transactions = 0");
    }
    has
}

fn prepare(kernel: &Kernel, own: &Type) -> (String, String) {
    let late = row_now(Duration::ZERO);
    let mut application = kernel.application();
    application.begin();
    application.insert(own, &late);
    let name = format!("p{}", late.id.simple());
    application.execute(&format!("PREPARE TRANSACTION '{name}'"));
    (name, late.modified)
}

#[test]
fn a_prepared_transaction_holds_everything_and_is_named() {
    let Some(kernel) = Kernel::postgres().filter(has_prepared_transactions) else {
        return;
    };
    let own = kernel.one_type();
    let from_before = kernel.open();
    moves_on(&*from_before);
    let (name, late) = prepare(&kernel, &own);
    stays_below(&*from_before, &late);
    // An instance that starts meanwhile knows of nothing that is safe.
    let held = eventually("it is told", || kernel.source.bound().unwrap().held_back);
    assert!(kernel.source.bound().unwrap().below.is_start());
    assert!(held.by.contains(&name), "{held:?}");
    assert!(!held.ignored);
    kernel
        .application()
        .execute(&format!("COMMIT PREPARED '{name}'"));
    for source in [&*from_before, &*kernel.source] {
        let bound = moves_on(source);
        let page = source.page(&own.id, &"".into(), &bound, 10, 1000).unwrap();
        assert_eq!(page.entities.len(), 1);
    }
}

#[test]
fn a_prepared_transaction_of_another_database_holds_nothing() {
    let Some(elsewhere) = Kernel::postgres().filter(has_prepared_transactions) else {
        return;
    };
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let (name, _) = prepare(&elsewhere, &elsewhere.one_type());
    let mut open = elsewhere.application();
    open.begin();
    open.insert(&elsewhere.one_type(), &row_now(Duration::ZERO));
    assert_eq!(moves_on(&*kernel.source).held_back, None);
    elsewhere
        .application()
        .execute(&format!("ROLLBACK PREPARED '{name}'"));
}

#[test]
fn a_session_idle_in_transaction_holds_back_and_is_told_with_how_long() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let limited = kernel.open_with(|config| {
        config.bound.hold_limit = Some(Duration::from_secs(3));
    });
    let own = kernel.one_type();
    let late = row_now(Duration::ZERO);
    let mut application = kernel.application();
    application.begin();
    application.execute("SELECT 1");
    let held = eventually("it is told", || kernel.source.bound().unwrap().held_back);
    assert!(held.by.contains("idle in transaction"), "{held:?}");
    assert!(held.lasting >= Duration::from_secs(1) && !held.ignored);
    assert!(limited.bound().unwrap().below.as_str() <= late.modified.as_str());
    // The one with a limit goes past it, and says so.
    let bound = moves_on(&*limited);
    let held = bound.held_back.expect("told");
    assert!(held.ignored && held.lasting > Duration::from_secs(3));
    application.insert(&own, &late);
    application.commit();
    // What it commits below the bound is found by looking back.
    let mut found = Vec::new();
    limited
        .range(&own.id, &"".into(), &bound.below, &mut |id, _| {
            found.push(id);
            Ok(())
        })
        .unwrap();
    assert_eq!(found, [late.id]);
}

#[test]
fn without_the_privilege_to_see_when_transactions_began_nothing_is_missed() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let Some(stranger) = Stranger::of(&kernel) else {
        return;
    };
    let own = kernel.one_type();
    let from_before = stranger.open(&kernel);
    moves_on(&*from_before);
    let late = row_now(Duration::ZERO);
    let mut application = kernel.application();
    application.begin();
    application.insert(&own, &late);
    let later = stranger.open(&kernel);
    assert!(
        later.bound().unwrap().below.is_start(),
        "it began who knows when"
    );
    stays_below(&*from_before, &late.modified);
    assert!(later.bound().unwrap().below.is_start());
    application.commit();
    for source in [&*from_before, &*later] {
        let bound = moves_on(source);
        let page = source.page(&own.id, &"".into(), &bound, 10, 1000).unwrap();
        assert_eq!(page.entities.len(), 1);
    }
}

#[test]
fn a_session_that_tells_nothing_of_its_activity_is_waited_for() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let Some(mut silent) = kernel.superuser() else {
        return;
    };
    silent.batch_execute("SET track_activities = off").unwrap();
    let own = kernel.one_type();
    moves_on(&*kernel.source);
    let late = row_now(Duration::ZERO);
    silent.batch_execute("BEGIN").unwrap();
    let mut application = crate::kernel::Application::Server(Box::new(silent));
    application.insert(&own, &late);
    stays_below(&*kernel.source, &late.modified);
    application.commit();
    moves_on(&*kernel.source);
}

#[test]
fn reading_instances_do_not_hold_each_other_back() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let mut reader = kernel.application();
    reader.execute("SET application_name = 'archive_ingest reader'");
    reader.begin();
    reader.execute("SELECT count(*) FROM kernel_entity_vw");
    assert_eq!(moves_on(&*kernel.source).held_back, None);
}
