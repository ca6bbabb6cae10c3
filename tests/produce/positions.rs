//! What positions promise, in SQLite and in PostgreSQL.

use std::collections::BTreeMap;

use archive_ingest::config::{DatabaseConfig, NamedBy, SqliteConfig};
use archive_ingest::entities::{Position, TypeId};
use archive_ingest::produce::positions::{
    self, Claimed, Mark, Mode, Positions, PositionsError, Progress, Sent, Standing, Unsendable,
};
use uuid::Uuid;

use crate::scene::Scene;

macro_rules! on_every_backend {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                super::$promise(&*super::sqlite(&folder));
            })*
        }
        mod on_postgres {
            $(#[test] fn $promise() {
                if let Some(scene) = crate::scene::Scene::new() {
                    super::$promise(&*scene.positions());
                }
            })*
        }
    };
}

on_every_backend!(
    a_type_that_is_not_known_begins_at_the_start,
    a_topic_is_of_one_type_until_it_is_released,
    position_and_ends_never_go_back,
    what_was_sent_is_known_and_what_was_not_is_not,
    a_rebuild_forgets_everything_and_shuts_out_who_wrote_before,
    modes_are_kept,
    the_quarantine_lists_replays_releases_and_drops,
    migrating_again_changes_nothing,
);

fn sqlite(folder: &tempfile::TempDir) -> Box<dyn Positions> {
    let path = folder.path().join("positions.sqlite");
    let positions = positions::open(
        &DatabaseConfig::Sqlite(SqliteConfig { path }),
        NamedBy::Stanza,
    )
    .unwrap();
    positions.migrate().unwrap();
    positions
}

fn of(realm: &str) -> TypeId {
    TypeId {
        realm: realm.to_owned(),
        schema_id: Uuid::from_u128(7),
    }
}

fn at(second: u32) -> Position {
    format!(
        "2026-01-01T00:00:{second:02}-{}",
        Uuid::from_u128(u128::from(second))
    )
    .into()
}

fn claimed(positions: &dyn Positions, of: &TypeId) -> Standing {
    match positions
        .claim(of, &format!("{}.Person", of.realm))
        .unwrap()
    {
        Claimed::Standing(standing) => standing,
        Claimed::Taken(by) => panic!("taken by {by}"),
    }
}

fn mark(second: u32) -> Mark {
    Mark::of(&Uuid::from_u128(u128::from(second)), &at(second))
}

/// Entities of these seconds, the last one being where the type stands then.
fn progress(seconds: std::ops::RangeInclusive<u32>) -> Progress {
    Progress {
        position: at(*seconds.end()),
        log_ends: BTreeMap::from([(0, i64::from(*seconds.end()))]),
        sent: vec![Sent {
            first: at(*seconds.start()),
            last: at(*seconds.end()),
            marks: seconds.map(mark).collect(),
            is_in_order: true,
        }],
        ..Progress::default()
    }
}

fn unsendable(second: u32) -> Unsendable {
    Unsendable {
        id: Uuid::from_u128(u128::from(second)),
        modified: at(second),
        reason: "$.a: missing".to_owned(),
        bytes: 12,
    }
}

fn a_type_that_is_not_known_begins_at_the_start(positions: &dyn Positions) {
    assert_eq!(positions.standing(&of("a")).unwrap(), None);
    let standing = claimed(positions, &of("a"));
    assert_eq!(standing.position, Position::start());
    assert_eq!(standing.mode, Mode::Running);
    assert_eq!(positions.all().unwrap(), [(of("a"), standing)]);
}

fn a_topic_is_of_one_type_until_it_is_released(positions: &dyn Positions) {
    claimed(positions, &of("a"));
    let other = of("b");
    assert_eq!(
        positions.claim(&other, "a.Person").unwrap(),
        Claimed::Taken(of("a"))
    );
    positions.release_topic(&of("a")).unwrap();
    assert!(matches!(
        positions.claim(&other, "a.Person").unwrap(),
        Claimed::Standing(_)
    ));
    let standing = positions.standing(&of("a")).unwrap().unwrap();
    assert_eq!(standing.topic, None);
}

fn position_and_ends_never_go_back(positions: &dyn Positions) {
    claimed(positions, &of("a"));
    positions.record(&of("a"), 0, &progress(5..=9)).unwrap();
    positions.record(&of("a"), 0, &progress(1..=4)).unwrap();
    let standing = positions.standing(&of("a")).unwrap().unwrap();
    assert_eq!(standing.position, at(9));
    assert_eq!(standing.log_ends, BTreeMap::from([(0, 9)]));
    // The topic of another name has other offsets.
    positions.claim(&of("a"), "a.Renamed").unwrap();
    let standing = positions.standing(&of("a")).unwrap().unwrap();
    assert_eq!(
        (standing.position, standing.log_ends),
        (at(9), BTreeMap::new())
    );
}

fn what_was_sent_is_known_and_what_was_not_is_not(positions: &dyn Positions) {
    let own = of("a");
    claimed(positions, &own);
    claimed(positions, &of("b"));
    for second in (0..30).step_by(2) {
        positions
            .record(&own, 0, &progress(second..=second))
            .unwrap();
    }
    let mut many = progress(30..=59);
    many.sent[0]
        .marks
        .extend((0..2000_u128).map(|n| Mark::of(&Uuid::from_u128(n << 64), &at(40))));
    positions.record(&own, 0, &many).unwrap();
    let late = Sent::late(vec![(at(5), mark(5)), (at(1), mark(1))]).unwrap();
    let late = Progress {
        sent: vec![late],
        ..Progress::default()
    };
    positions.record(&own, 0, &late).unwrap();
    positions.quarantine(&own, &[unsendable(7)]).unwrap();
    let known = positions.known(&own, &at(0), &at(59)).unwrap();
    for second in 0..60 {
        let is_known = second % 2 == 0 || second >= 30 || [1, 5, 7].contains(&second);
        assert_eq!(known.contains(&mark(second)), is_known, "{second}");
    }
    assert_eq!(known.len(), 15 + 30 + 2000 + 3);
    assert!(
        positions
            .known(&own, &at(5), &at(5))
            .unwrap()
            .contains(&mark(5))
    );
    assert!(
        positions
            .known(&of("b"), &at(0), &at(59))
            .unwrap()
            .is_empty()
    );
}

fn a_rebuild_forgets_everything_and_shuts_out_who_wrote_before(positions: &dyn Positions) {
    let own = of("a");
    claimed(positions, &own);
    positions.record(&own, 0, &progress(1..=9)).unwrap();
    positions.quarantine(&own, &[unsendable(3)]).unwrap();
    let unordered = positions.reset(&own, 0);
    assert!(matches!(unordered, Err(PositionsError::Superseded { .. })));
    assert!(order(positions, &[Mode::Running], Mode::Rebuilding));
    positions.reset(&own, 0).unwrap();
    let standing = positions.standing(&own).unwrap().unwrap();
    assert_eq!(standing.position, Position::start());
    assert_eq!((standing.mode, standing.generation), (Mode::Paused, 1));
    assert!(positions.known(&own, &at(0), &at(59)).unwrap().is_empty());
    let late = positions.record(&own, 0, &progress(10..=11));
    assert!(
        matches!(late, Err(PositionsError::Superseded { .. })),
        "{late:?}"
    );
    positions.record(&own, 1, &progress(1..=2)).unwrap();
    // A rebuild that was ordered for the first generation does not touch this one.
    for mode in [Mode::Paused, Mode::Rebuilding] {
        order(positions, &[Mode::Paused], mode);
        assert!(matches!(
            positions.reset(&own, 0),
            Err(PositionsError::Superseded { .. })
        ));
    }
    let standing = positions.standing(&own).unwrap().unwrap();
    assert_eq!((standing.position, standing.generation), (at(2), 1));
    assert!(matches!(
        positions.reset(&of("b"), 0),
        Err(PositionsError::Superseded { .. })
    ));
}

fn order(positions: &dyn Positions, from: &[Mode], to: Mode) -> bool {
    positions.change_mode(&of("a"), None, from, to).unwrap()
}

fn modes_are_kept(positions: &dyn Positions) {
    claimed(positions, &of("a"));
    let all = [
        Mode::Running,
        Mode::Paused,
        Mode::Rebuilding,
        Mode::Locked,
        Mode::Running,
    ];
    for modes in all.windows(2) {
        let (before, after) = (modes[0], modes[1]);
        let others: Vec<Mode> = all.into_iter().filter(|mode| *mode != before).collect();
        assert!(!order(positions, &others, after));
        let mode = || positions.standing(&of("a")).unwrap().unwrap().mode;
        assert_eq!(mode(), before);
        let late = positions.change_mode(&of("a"), Some(7), &[before], after);
        assert!(!late.unwrap(), "of another generation");
        assert_eq!(mode(), before);
        assert!(order(positions, &[before], after));
        assert_eq!(mode(), after);
    }
    let unknown = positions.change_mode(&of("b"), None, &all, Mode::Paused);
    assert!(!unknown.unwrap());
}

fn the_quarantine_lists_replays_releases_and_drops(positions: &dyn Positions) {
    let own = of("a");
    claimed(positions, &own);
    positions
        .quarantine(&own, &[unsendable(3), unsendable(1), unsendable(2)])
        .unwrap();
    positions.quarantine(&of("b"), &[unsendable(1)]).unwrap();
    let all = positions.quarantined(None, None, 10).unwrap();
    assert_eq!(all.len(), 4);
    let first = positions.quarantined(Some(&own), None, 2).unwrap();
    let rest = positions.quarantined(Some(&own), first.last(), 2).unwrap();
    let ids: Vec<u128> = first
        .iter()
        .chain(&rest)
        .map(|row| row.entity.id.as_u128())
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(
        first[0].found_at > 1_700_000_000_000,
        "{}",
        first[0].found_at
    );
    let id = Uuid::from_u128(2);
    assert_eq!(positions.ask_replay(Some(&own), Some(&id)).unwrap(), 1);
    assert_eq!(positions.to_replay(&own, 10).unwrap(), [unsendable(2)]);
    // It still does not fit: found once more.
    positions.quarantine(&own, &[unsendable(2)]).unwrap();
    assert!(positions.to_replay(&own, 10).unwrap().is_empty());
    assert_eq!(positions.ask_replay(None, None).unwrap(), 4);
    let released = Progress {
        released: vec![(id, at(2))],
        ..Progress::default()
    };
    positions.record(&own, 0, &released).unwrap();
    let counts = positions.quarantine_counts().unwrap();
    assert_eq!(counts, BTreeMap::from([(own.clone(), 2), (of("b"), 1)]));
    assert_eq!(positions.drop_quarantined(Some(&own), None).unwrap(), 2);
    assert_eq!(positions.quarantined(None, None, 10).unwrap().len(), 1);
    let known = positions.known(&own, &at(0), &at(9)).unwrap();
    assert!(
        known.contains(&mark(3)),
        "what is given up is not found again"
    );
}

fn migrating_again_changes_nothing(positions: &dyn Positions) {
    let standing = claimed(positions, &of("a"));
    positions.migrate().unwrap();
    assert_eq!(positions.standing(&of("a")).unwrap(), Some(standing));
}

#[test]
fn aethers_offset_is_taken_over_and_kept_up_with_the_lowest_of_its_realms() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let id = of("a").schema_id;
    scene.execute(&format!(
        "CREATE TABLE \"offset\" (schema_name varchar PRIMARY KEY, offset_value varchar);
         INSERT INTO \"offset\" VALUES ('{id}', '{}')",
        at(5)
    ));
    let positions = scene.positions();
    let standing = claimed(&*positions, &of("a"));
    assert_eq!((&standing.position, &standing.known_from), (&at(5), &at(5)));
    claimed(&*positions, &of("b"));
    let aethers = || -> String {
        let select = format!("SELECT offset_value FROM \"offset\" WHERE schema_name = '{id}'");
        scene.application().query_one(&select, &[]).unwrap().get(0)
    };
    positions.record(&of("a"), 0, &progress(6..=20)).unwrap();
    assert_eq!(aethers(), at(5).as_str());
    positions.record(&of("b"), 0, &progress(6..=9)).unwrap();
    assert_eq!(aethers(), at(9).as_str());
    let rebuilt = positions.change_mode(&of("b"), None, &[Mode::Running], Mode::Rebuilding);
    assert!(rebuilt.unwrap());
    positions.reset(&of("b"), 0).unwrap();
    assert_eq!(aethers(), "");
}
