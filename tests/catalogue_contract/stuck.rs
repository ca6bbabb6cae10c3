//! What cannot be archived now, for another process to see.

use archive_ingest::catalogue::Stuck;

use crate::place::Place;

on_every_backend!(
    what_is_stuck_is_seen_until_it_has_ended,
    what_is_stuck_keeps_its_time_and_takes_a_new_cause,
    what_is_noted_twice_is_there_once,
);

fn stuck(topic: &str, partition: i32, offset: Option<i64>, object: Option<&str>) -> Stuck {
    Stuck {
        topic: topic.into(),
        partition,
        offset,
        object: object.map(str::to_owned),
        cause: format!("cause of {partition}\0"),
    }
}

fn listed(place: &Place) -> Vec<Stuck> {
    let stuck = place.open().stuck().unwrap().into_iter();
    stuck.map(|(stuck, _)| stuck).collect()
}

/// As it comes back: U+0000 is replaced.
fn stored(stuck: &[Stuck]) -> Vec<Stuck> {
    let mut stuck = stuck.to_vec();
    for one in &mut stuck {
        one.cause = one.cause.replace('\0', "\u{fffd}");
    }
    stuck
}

fn what_is_stuck_is_seen_until_it_has_ended(place: &Place) {
    let all = [
        stuck("a", 0, None, None),
        stuck("a", 0, Some(0), None),
        stuck("a", 0, Some(0), Some("a/key")),
        stuck("a", 0, Some(7), Some("a/key")),
        stuck("b", 2, Some(7), None),
    ];
    assert_eq!(listed(place), []);
    place.catalogue.change_stuck(&[], &all).unwrap();
    assert_eq!(listed(place), stored(&all));
    let [unknown, .., last] = &all;
    place
        .catalogue
        .change_stuck(&[unknown.clone(), last.clone()], &[])
        .unwrap();
    assert_eq!(listed(place), stored(&all[1..4]));
    // One that is not there is no error.
    place
        .catalogue
        .change_stuck(&all, std::slice::from_ref(last))
        .unwrap();
    assert_eq!(listed(place), stored(&all[4..]));
}

fn what_is_stuck_keeps_its_time_and_takes_a_new_cause(place: &Place) {
    let mut one = stuck("a", 0, Some(3), None);
    place
        .catalogue
        .change_stuck(&[], std::slice::from_ref(&one))
        .unwrap();
    let since = place.catalogue.stuck().unwrap()[0].1;
    assert!(since > 1_700_000_000_000, "{since}");
    one.cause = "another cause".to_owned();
    place
        .catalogue
        .change_stuck(&[], std::slice::from_ref(&one))
        .unwrap();
    assert_eq!(place.catalogue.stuck().unwrap(), [(one, since)]);
}

fn what_is_noted_twice_is_there_once(place: &Place) {
    let one = stuck("a", 0, Some(3), None);
    for _ in 0..2 {
        place
            .catalogue
            .change_stuck(&[], std::slice::from_ref(&one))
            .unwrap();
    }
    assert_eq!(listed(place), stored(&[one]));
}
