//! A record that has two rows.

use crate::archive::Archive;

#[test]
fn a_record_with_two_rows_is_reported_and_not_repaired() {
    let archive = Archive::known();
    // The rows are moved by hand, to where nothing was read.
    archive.sql("DELETE FROM read_intervals; DELETE FROM streams");
    let of_topic = "SELECT uuid FROM messages WHERE topic = 'known.keys' ORDER BY id LIMIT 2";
    // Of two lives of the topic, they are two records.
    archive.sql(&format!(
        "UPDATE messages SET kafka_partition = 7, kafka_offset = 5, topic_id =
             CASE WHEN uuid = (SELECT uuid FROM messages WHERE topic = 'known.keys' ORDER BY id)
                  THEN '00000000-0000-0000-0000-00000000000a'
                  ELSE '00000000-0000-0000-0000-00000000000b' END
         WHERE uuid IN ({of_topic})"
    ));
    archive.run(&["verify"]).clean();
    archive.sql(&format!(
        "UPDATE messages SET topic_id = '00000000-0000-0000-0000-00000000000b'
         WHERE uuid IN ({of_topic})"
    ));
    for options in [&["verify", "--json"][..], &["verify", "--json", "--repair"]] {
        let lines = archive.run(options).ended(1).json_lines();
        let defect = &lines[0]["defect"];
        assert_eq!(defect["kind"], "archived_twice");
        assert_eq!(defect["topic"], "known.keys");
        assert_eq!(
            (&defect["partition"], &defect["offset"]),
            (&7.into(), &5.into())
        );
        assert_ne!(defect["first"], defect["uuid"]);
        assert!(defect["topic_id"].is_string());
    }
    archive.run(&["verify", "--topic", "known.values"]).clean();
}
