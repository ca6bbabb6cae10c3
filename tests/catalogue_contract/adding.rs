//! Rows, retries and origins, written and read again.

use archive_ingest::catalogue::{Added, Gap, Row};
use archive_ingest::record::TimestampType;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    every_field_of_a_row_comes_back_as_it_was,
    adding_a_row_spends_its_claim,
    adding_the_same_rows_again_changes_nothing,
    a_row_is_not_added_without_its_own_deliverys_claim,
    a_row_that_another_archiver_added_meanwhile_is_left_as_it_is,
    a_retry_is_remembered_once,
    the_retries_of_a_partition_are_listed_in_its_order,
    a_gap_is_recorded_once,
    a_nul_becomes_the_replacement_character_and_a_long_title_is_cut,
    a_foreign_row_is_found_by_topic_time_and_crc_also_once_it_has_an_origin,
    objects_of_several_messages_are_found_by_their_keys,
    rows_can_be_read_while_a_batch_is_being_written,
    fetch_leaves_out_what_has_no_row,
);

fn every_field_of_a_row_comes_back_as_it_was(place: &Place) {
    let mut rows: Vec<Row> = (0..6).map(message).collect();
    for (n, timestamp) in [i64::MIN, -1, 0, i64::MAX].into_iter().enumerate() {
        rows[n].timestamp = timestamp;
    }
    rows[0].object_offset = Some(i64::MAX);
    rows[1].size = i32::MAX;
    rows[2].retracted = true;
    rows[3].direct_upload = true;
    rows[4].origin.as_mut().unwrap().timestamp_type = TimestampType::None;
    rows[5].origin.as_mut().unwrap().timestamp_type = TimestampType::Create;
    let text = "é\u{1F52D}'\"\\{}, NULL\n";
    rows[5].title = text.into();
    rows[5].sender = text.into();
    rows[5].file_name = text.into();
    archive(&*place.catalogue, &rows);
    let uuids: Vec<_> = rows.iter().map(|row| row.uuid).collect();
    let mut stored = place.open().fetch(&uuids).unwrap();
    stored.sort_by_key(|stored| stored.row.uuid);
    let read: Vec<Row> = stored.into_iter().map(|stored| stored.row).collect();
    assert_eq!(read, rows);
}

fn objects_of_several_messages_are_found_by_their_keys(place: &Place) {
    let mut rows: Vec<Row> = (0..6).map(message).collect();
    for (n, row) in rows[..4].iter_mut().enumerate() {
        row.key = format!("pack {}", n / 2);
        row.object_offset = Some(1_000 * n as i64);
    }
    rows[3].bucket = "another".into();
    archive(&*place.catalogue, &rows);
    let asked: Vec<String> = ["pack 0", "pack 1", "pack 2", &rows[5].key]
        .map(str::to_owned)
        .into();
    let found = |bucket: &str| {
        let mut found = place.open().packed(bucket, &asked).unwrap();
        found.sort();
        found
    };
    assert_eq!(found("archive"), ["pack 0", "pack 1"]);
    assert_eq!(found("another"), ["pack 1"]);
    assert!(found("third").is_empty());
    assert!(place.open().packed("archive", &[]).unwrap().is_empty());
}

fn adding_a_row_spends_its_claim(place: &Place) {
    archive(&*place.catalogue, &[message(1)]);
    assert_eq!(place.number("SELECT count(*) FROM uuid_claims"), 0);
    assert_eq!(place.number("SELECT count(*) FROM messages"), 1);
}

fn adding_the_same_rows_again_changes_nothing(place: &Place) {
    let rows: Vec<Row> = (0..10).map(message).collect();
    archive(&*place.catalogue, &rows);
    let before = place.catalogue.count_by_topic(&Default::default()).unwrap();
    assert_eq!(place.catalogue.add(&rows, &[]).unwrap(), Added::default());
    let after = place.catalogue.count_by_topic(&Default::default()).unwrap();
    assert_eq!(before, after);
    assert_eq!(after[0].messages, 10);
}

fn a_row_is_not_added_without_its_own_deliverys_claim(place: &Place) {
    let (unclaimed, mut foreign, others) = (message(1), message(2), message(3));
    foreign.origin = None;
    place.catalogue.claim(&[claim_of(&others)]).unwrap();
    let mut near_misses: Vec<Row> = vec![others.clone(); 5];
    near_misses[0].topic = "another".into();
    near_misses[1].timestamp += 1;
    near_misses[2].origin.as_mut().unwrap().partition += 1;
    near_misses[3].origin.as_mut().unwrap().offset += 1;
    near_misses[4].origin.as_mut().unwrap().digest.0[31] ^= 1;
    near_misses.extend([unclaimed, foreign]);
    assert_eq!(
        place.catalogue.add(&near_misses, &[]).unwrap(),
        Added::default()
    );
    // The one that holds the claim is added, beside the others all the same.
    near_misses.push(others.clone());
    assert_eq!(
        place.catalogue.add(&near_misses, &[]).unwrap().rows,
        [others.uuid]
    );
    assert_eq!(
        place.catalogue.fetch(&[others.uuid]).unwrap()[0].row,
        others
    );
}

fn a_row_that_another_archiver_added_meanwhile_is_left_as_it_is(place: &Place) {
    let ours = message(1);
    place.catalogue.claim(&[claim_of(&ours)]).unwrap();
    let theirs = Row {
        key: "alerts/2023/11/14/22/theirs.bson".into(),
        ..ours.clone()
    };
    place.execute(&foreign_insert(&theirs));
    let added = place
        .catalogue
        .add(std::slice::from_ref(&ours), &[])
        .unwrap();
    assert_eq!(added, Added::default());
    assert_eq!(
        place.catalogue.fetch(&[ours.uuid]).unwrap()[0].row.key,
        theirs.key
    );
}

fn a_retry_is_remembered_once(place: &Place) {
    let row = message(1);
    let retries = [
        retry_of(&row, 100),
        retry_of(&row, 101),
        retry_of(&row, 100),
    ];
    place.catalogue.claim(&[claim_of(&row)]).unwrap();
    let added = place
        .catalogue
        .add(std::slice::from_ref(&row), &retries)
        .unwrap();
    assert_eq!((added.rows, added.retries), (vec![row.uuid], 2));
    let again = [retry_of(&row, 101), retry_of(&row, 102)];
    assert_eq!(place.catalogue.add(&[], &again).unwrap().retries, 1);
    assert_eq!(place.number("SELECT count(*) FROM retries"), 3);
}

fn the_retries_of_a_partition_are_listed_in_its_order(place: &Place) {
    let (row, elsewhere) = (message(1), message(2));
    let listed: Vec<_> = [3, i64::MAX - 1, 5, 4]
        .map(|offset| retry_of(&row, offset))
        .into();
    let mut retries = listed.clone();
    retries.push(retry_of(&elsewhere, 4));
    place.catalogue.add(&[], &retries).unwrap();
    let partition = row.origin.as_ref().unwrap().partition;
    let offsets = |range| -> Vec<i64> {
        let retries = place.catalogue.retries("alerts", partition, range).unwrap();
        retries.iter().map(|retry| retry.offset).collect()
    };
    assert_eq!(offsets(0..i64::MAX), [3, 4, 5, i64::MAX - 1]);
    assert_eq!(offsets(4..5), [4]);
    let first = &place.catalogue.retries("alerts", partition, 3..4).unwrap()[0];
    assert_eq!(first, &listed[0]);
}

fn a_gap_is_recorded_once(place: &Place) {
    let gap = |partition, from, to| Gap {
        topic: "alerts".into(),
        partition,
        from,
        to,
        found_at: 0,
        acknowledged_at: None,
        topic_id: None,
        reason: archive_ingest::catalogue::GapReason::Retention,
    };
    let found = [gap(1, 5, 9), gap(0, 0, i64::MAX), gap(0, 0, 3)];
    assert_eq!(place.catalogue.add_gaps(&found).unwrap().len(), 3);
    assert_eq!(place.catalogue.add_gaps(&found[..1]).unwrap(), []);
    let mut listed = place.open().gaps().unwrap();
    for gap in &mut listed {
        assert!(gap.found_at > 1_700_000_000_000, "{gap:?}");
        gap.found_at = 0;
    }
    assert_eq!(listed, [gap(0, 0, 3), gap(0, 0, i64::MAX), gap(1, 5, 9)]);
}

fn a_nul_becomes_the_replacement_character_and_a_long_title_is_cut(place: &Place) {
    let mut row = message(1);
    let long = "x".repeat(1 << 20);
    row.title = format!("\0{long}\0");
    for text in [
        &mut row.sender,
        &mut row.media_type,
        &mut row.file_name,
        &mut row.originator,
    ] {
        *text = "a\0b".into();
    }
    archive(&*place.catalogue, std::slice::from_ref(&row));
    let read = place.catalogue.fetch(&[row.uuid]).unwrap().remove(0).row;
    // 2,048 characters; the object has all of them.
    assert_eq!(read.title, format!("\u{fffd}{}", &long[..2047]));
    let texts = [
        read.sender,
        read.media_type,
        read.file_name,
        read.originator,
    ];
    assert_eq!(texts, ["a\u{fffd}b"; 4]);
}

fn a_foreign_row_is_found_by_topic_time_and_crc_also_once_it_has_an_origin(place: &Place) {
    let (wanted, uploaded, ours) = (message(1), message(2), message(3));
    place.execute(&foreign_insert(&wanted));
    let uploaded = Row {
        direct_upload: true,
        ..uploaded
    };
    place.execute(&foreign_insert(&uploaded));
    archive(&*place.catalogue, std::slice::from_ref(&ours));
    let like = |row: &Row| (row.topic.clone(), row.timestamp, row.message_crc32);
    let mut alike = vec![like(&uploaded), like(&ours), like(&wanted), like(&wanted)];
    alike.push(("another".into(), wanted.timestamp, wanted.message_crc32));
    alike.push((
        wanted.topic.clone(),
        wanted.timestamp + 1,
        wanted.message_crc32,
    ));
    alike.push((
        wanted.topic.clone(),
        wanted.timestamp,
        wanted.message_crc32 + 1,
    ));

    let found = place.catalogue.foreign_rows(&alike).unwrap();
    let uuids: Vec<_> = found.iter().map(|stored| stored.row.uuid).collect();
    assert_eq!(uuids, [wanted.uuid]);
    assert_eq!(found[0].row.origin, None);

    assert!(place.catalogue.set_origin(found[0].id, &origin(1)).unwrap());
    assert!(!place.catalogue.set_origin(found[0].id, &origin(9)).unwrap());
    let read = place.catalogue.fetch(&uuids).unwrap().remove(0).row;
    assert_eq!(read.origin, Some(origin(1)));
    let again = place.catalogue.foreign_rows(&alike).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].row, read);
}

fn rows_can_be_read_while_a_batch_is_being_written(place: &Place) {
    use archive_ingest::config::DatabaseConfig;

    let (before, unfinished) = (message(1), foreign_insert(&message(2)));
    archive(&*place.catalogue, &[before]);
    let read = || {
        place
            .catalogue
            .rows(&Default::default(), None, 10, false)
            .unwrap()
    };
    match &place.config {
        DatabaseConfig::Sqlite(sqlite) => {
            let writer = rusqlite::Connection::open(&sqlite.path).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            writer.execute_batch(&unfinished).unwrap();
            assert_eq!(read().len(), 1);
            writer.execute_batch("COMMIT").unwrap();
        }
        DatabaseConfig::Postgres(_) => {
            let mut writer = place.client();
            writer.batch_execute("BEGIN").unwrap();
            writer.batch_execute(&unfinished).unwrap();
            assert_eq!(read().len(), 1);
            writer.batch_execute("COMMIT").unwrap();
        }
    }
    assert_eq!(read().len(), 2);
}

fn fetch_leaves_out_what_has_no_row(place: &Place) {
    let (there, claimed, free) = (message(1), message(2), message(3));
    archive(&*place.catalogue, std::slice::from_ref(&there));
    place.catalogue.claim(&[claim_of(&claimed)]).unwrap();
    let asked = [free.uuid, claimed.uuid, there.uuid];
    let rows = place.catalogue.fetch(&asked).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].row, there);
}
