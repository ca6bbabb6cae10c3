//! What `restore` does not do, and says so before it writes anything.

use super::{assert_same_stream, real, refused, restore};
use crate::archive::Archive;
use crate::support::broker::plain_records;

#[test]
fn a_topic_that_the_archive_reads_is_refused_until_told_so() {
    let Some((broker, place)) = real() else {
        return;
    };
    let (topic, other) = (broker.create("own", 1), broker.create("other", 1));
    let records = plain_records(&topic, 1, 10);
    broker.send(&records);
    // Of a topic that is gone the cluster forgets the group's offsets.
    broker.send(&plain_records(&other, 1, 1));
    place.run_to_end();
    broker.delete(&topic);
    let options = ["--topic", &*topic, "--create-topics"];
    refused(
        &place,
        &options,
        &[&topic, "would archive", "--into-archived"],
    );
    broker.create_with("own", 1, &[("retention.ms", "604800000")]);
    let options = ["--topic", &*topic, "--into-archived"];
    refused(&place, &options, &["retention.ms"]);
    broker.delete(&topic);
    broker.create_with("own", 1, &[("retention.ms", "-1")]);
    restore(&place, &options, 0);
    assert_same_stream(&records, &broker.committed(&topic));
}

#[test]
fn topics_on_which_the_records_would_not_stay_are_refused_by_name_and_setting() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("old", 2);
    broker.send(&plain_records(&topic, 2, 10));
    place.run_to_end();
    for (setting, value) in [
        ("retention.ms", "604800000"),
        ("message.timestamp.type", "LogAppendTime"),
        ("message.timestamp.before.max.ms", "1000"),
        ("cleanup.policy", "compact"),
        ("retention.bytes", "100"),
    ] {
        let target = broker.foreign_name("short");
        let keeps = [("retention.ms", "-1"), (setting, value)];
        broker.create_named(&target, 2, &keeps);
        let options = ["--topic", &*topic, "--to", &target];
        refused(&place, &options, &[&target, setting]);
        assert!(broker.committed(&target).is_empty());
    }
    let narrow = broker.foreign_name("narrow");
    broker.create_named(&narrow, 1, &[("retention.ms", "-1")]);
    let options = ["--topic", &*topic, "--to", &narrow];
    refused(&place, &options, &[&narrow, "1 partitions", "--by-key"]);
}

#[test]
fn a_topic_that_is_not_there_or_holds_other_records_is_refused_until_told_so() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("some", 1);
    let records = plain_records(&topic, 1, 10);
    broker.send(&records);
    place.run_to_end();
    let target = broker.foreign_name("filled");
    let options = ["--topic", &*topic, "--to", &target];
    refused(&place, &options, &[&target, "--create-topics"]);
    broker.create_named(&target, 1, &[("retention.ms", "-1")]);
    let others = plain_records(&target, 1, 3);
    broker.send(&others);
    refused(&place, &options, &[&target, "--append"]);
    restore(&place, &[&options[..], &["--append"]].concat(), 0);
    assert_eq!(broker.committed(&target).len(), 13);
    // From now on its own note tells what is there.
    restore(&place, &options, 0);
    assert_eq!(broker.committed(&target).len(), 13);
}

#[test]
fn nonsense_is_told_in_one_line_and_exit_2() {
    let archive = Archive::known();
    archive.path("bad.txt");
    std::fs::write(archive.path("bad.txt"), "nonsense\n").unwrap();
    std::fs::write(archive.path("empty.txt"), "\n").unwrap();
    for (options, says) in [
        (&[][..], "--topic"),
        (&["--topic", "a b"], "a b"),
        (&["--topic", "*", "--to", "a b"], "a b"),
        (&["--topic", "*", "--to", "__x"], "__x"),
        (&["--topic", "*", "--map", "a"], "FROM=TO"),
        (&["--topic", "*", "--map", "a=b", "--map", "a=c"], "twice"),
        (&["--topic", "*", "--rate", "0"], "--rate"),
        (&["--topic", "*", "--rate", "fast"], "--rate"),
        (&["--topic", "*", "--since", "soon"], "--since"),
        (&["--uuid-file", "bad.txt"], "bad.txt, line 1"),
        (&["--uuid-file", "empty.txt"], "empty.txt"),
        (&["--uuid-file", "none.txt"], "none.txt"),
        (&["--topic", "*"], "-H"),
    ] {
        let all = [&["restore"], options].concat();
        archive.run(&all).refused(2, &[says]);
    }
    for options in [
        &["--topic", "*", "--to", "a", "--map", "a=b"][..],
        &["--topic", "*", "--by-key", "--preserve-partitions"],
    ] {
        let all = [&["restore"], options].concat();
        archive.run(&all).ended(2).says(&["cannot be used with"]);
    }
}

#[test]
fn a_topic_that_the_archive_does_not_have_is_no_success() {
    let Some((broker, place)) = real() else {
        return;
    };
    let topic = broker.create("only", 1);
    broker.send(&plain_records(&topic, 1, 2));
    place.run_to_end();
    refused(
        &place,
        &["--topic", "misspelled"],
        &["misspelled", "nothing"],
    );
}
