//! A store that refuses in the middle of a run, for good.

use super::{assert_all_there, lines, services};
use crate::support::answers::s3_error;
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::proxy::Deed;

/// The store says `code` to every PUT from some moment on.
fn stops_with_one_line(code: &'static str, advice: &str) {
    let Some((broker, mut place)) = services() else {
        return;
    };
    let topic = broker.create("refused", 2);
    let mut records = plain_records(&topic, 2, 50);
    broker.send(&records);
    let proxy = place.store_through_proxy();
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(50);
    proxy.decide(move |request| match request.starts_with(b"PUT ") {
        true => Deed::Answer(s3_error(403, code)),
        false => Deed::Pass,
    });
    let more = plain_records_from(&topic, 2, 50..150);
    broker.send(&more);
    records.extend(more);
    let ended = process.ended();
    assert_eq!(ended.code, Some(3), "{ended}");
    let errors = lines(&ended.stderr, "error: s3 http");
    assert_eq!(errors.len(), 1, "{ended}");
    assert!(
        errors[0].contains(code) && errors[0].contains(advice),
        "{ended}"
    );
    assert!(lines(&ended.stderr, "trying again").is_empty(), "{ended}");

    drop(proxy);
    place.go_directly();
    place.run_to_end();
    assert_all_there(&place, &records);
}

#[test]
fn a_permission_that_is_taken_away_in_mid_run_stops_it_with_one_line_and_exit_code_3() {
    stops_with_one_line("AccessDenied", "s3:PutObject");
}

#[test]
fn a_key_that_becomes_invalid_in_mid_run_stops_it_with_one_line_and_exit_code_3() {
    stops_with_one_line("InvalidAccessKeyId", "S3_ACCESS_KEY_ID");
}
