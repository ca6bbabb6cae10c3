//! The bound: what is below it is all there is.

use std::time::Duration;

use archive_ingest::entities::Position;

use crate::kernel::{Kernel, MARGIN, Row, WINDOW, eventually, row_now, stamp};

on_every_kernel!(
    the_bound_follows_the_clock_at_window_and_margin,
    an_entity_of_an_open_transaction_is_above_the_bound_until_it_is_committed,
    the_bound_never_goes_back,
);

fn the_bound_follows_the_clock_at_window_and_margin(kernel: &Kernel) {
    let before = stamp(WINDOW + MARGIN);
    let bound = eventually("a bound", || {
        let bound = kernel.source.bound().unwrap();
        (!bound.below.is_start()).then_some(bound)
    });
    let after = stamp(WINDOW + MARGIN);
    assert_eq!(bound.held_back, None);
    // Other tests of the same server have databases of their own.
    assert!(
        bound.below.as_str() >= before.as_str(),
        "{bound:?} {before}"
    );
    assert!(bound.below.as_str() <= after.as_str(), "{bound:?} {after}");
}

fn an_entity_of_an_open_transaction_is_above_the_bound_until_it_is_committed(kernel: &Kernel) {
    let own = kernel.one_type();
    // Stamped as long before its transaction as is allowed.
    let late: Row = row_now(Duration::ZERO);
    std::thread::sleep(WINDOW - Duration::from_millis(50));
    let mut application = kernel.application();
    application.begin();
    application.insert(&own, &late);
    let mut other = kernel.application();
    if kernel.is_postgres() {
        other.insert(&own, &row_now(Duration::ZERO));
    }
    let deadline = stamp(Duration::ZERO);
    // Long after the window is over.
    let until = std::time::Instant::now() + 3 * (WINDOW + MARGIN);
    while std::time::Instant::now() < until {
        let bound = kernel.source.bound().unwrap();
        assert!(bound.below.as_str() <= late.modified.as_str(), "{bound:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    application.commit();
    let bound = eventually("the bound moves on", || {
        let bound = kernel.source.bound().unwrap();
        (bound.below.as_str() > deadline.as_str()).then_some(bound)
    });
    let page = kernel
        .source
        .page(&own.id, &Position::start(), &bound, 10, 1 << 20)
        .unwrap();
    assert_eq!(page.entities[0].id, late.id, "it is the first");
    assert_eq!(page.entities.len(), 1 + usize::from(kernel.is_postgres()));
}

fn the_bound_never_goes_back(kernel: &Kernel) {
    let mut last = kernel.source.bound().unwrap().below;
    for n in 0..100 {
        let mut application = kernel.application();
        if n % 10 == 0 {
            application.begin();
        }
        let bound = kernel.source.bound().unwrap().below;
        assert!(bound >= last);
        last = bound;
    }
}
