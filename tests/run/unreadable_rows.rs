//! A row of archive-core whose object cannot be read stops nothing but the one
//! record that may be its message.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::broker::plain_records;
use crate::support::{Broker, Place, foreign};

const EACH: usize = 67;

#[test]
fn one_unreadable_object_of_an_older_row_holds_back_one_record_and_nothing_else() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::local(&broker) else {
        return;
    };
    let topics = ["one", "two", "three"].map(|name| broker.create(name, 1));
    place.catalogue().migrate().expect("an empty database");
    let records = topics.map(|topic| plain_records(&topic, 1, EACH));
    foreign::archive(&place, &records[0][0]);
    let [key] = &place.object_keys()[..] else {
        panic!("one object");
    };
    // Reading it fails, whoever tries: the kernel says 4096 bytes and gives a few.
    let object = place.path("archive").join("store");
    let object = walk(&object, key);
    let aside = object.with_extension("aside");
    fs::rename(&object, &aside).unwrap();
    symlink("/sys/kernel/uevent_seqnum", &object).unwrap();

    records.iter().for_each(|records| broker.send(records));
    let ended = place.run(&["run", "--until-eos", "--json"]);
    assert_eq!(ended.code, Some(3), "{ended}");
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["archived"], 3 * EACH as u64 - 1, "{ended}");
    let waits = &summary["unreadable"][0];
    assert_eq!(
        (&waits["offset"], &waits["key"]),
        (&0.into(), &key.as_str().into())
    );

    let status = place.run(&["status", "--json"]).clean();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    let stuck = &status["stuck"][0];
    assert_eq!(
        (&stuck["offset"], &stuck["object"]),
        (&0.into(), &key.as_str().into())
    );

    // Once it can be read the record is found to be the row's message.
    fs::remove_file(&object).unwrap();
    fs::rename(&aside, &object).unwrap();
    assert_eq!(place.run_to_end().archived, 0);
    let archived = place.archived();
    assert_eq!(archived.len(), 3 * EACH, "lost or archived twice");
    assert_eq!(place.catalogue().stuck().unwrap(), []);
}

/// The file of that key, wherever the bucket's folder is.
fn walk(folder: &std::path::Path, key: &str) -> std::path::PathBuf {
    let buckets = fs::read_dir(folder).unwrap();
    let paths = buckets.map(|bucket| bucket.unwrap().path().join(key));
    paths.into_iter().find(|path| path.exists()).unwrap()
}
