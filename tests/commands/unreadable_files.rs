//! A directory store in which the file system tells nothing of some files. Links
//! stand for them: no permission stops root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::archive::{Archive, text};

/// Replaces a file by a link, and returns where the file is meanwhile.
fn replace_by_link(archive: &Archive, key: &str, target: &str) -> PathBuf {
    let object = archive.object(key);
    let kept = archive.path(target);
    fs::rename(&object, &kept).unwrap();
    symlink(format!("/nowhere/{target}"), &object).unwrap();
    if target == "loop" {
        fs::remove_file(&object).unwrap();
        symlink(&object, &object).unwrap();
    }
    kept
}

fn defects(lines: &[Value]) -> Vec<(String, String)> {
    let mut defects: Vec<(String, String)> = lines
        .iter()
        .map(|line| &line["defect"])
        .filter(|defect| defect.is_object())
        .map(|defect| (text(&defect["kind"]), text(&defect["key"])))
        .collect();
    defects.sort();
    defects
}

#[test]
fn files_that_cannot_be_read_are_reported_and_the_others_checked() {
    let archive = Archive::known();
    let keys =
        ["known.values", "known.headers"].map(|topic| text(&archive.row_at(topic, 0)["key"]));
    let kept = ["loop", "missing"];
    let kept: Vec<PathBuf> = keys
        .iter()
        .zip(kept)
        .map(|(key, target)| replace_by_link(&archive, key, target))
        .collect();
    let expected = [
        ("missing_object".to_owned(), keys[1].clone()),
        ("unreadable_object".to_owned(), keys[0].clone()),
    ];
    for options in [&["verify", "--json"][..], &["verify", "--deep", "--json"]] {
        let verified = archive.run(options).ended(1);
        let lines = verified.json_lines();
        assert_eq!(defects(&lines), expected, "{verified:?}");
        assert_eq!(lines.last().unwrap()["summary"]["messages"], 35);
    }

    archive.sql("DELETE FROM messages");
    let rebuilt = archive.run(&["rebuild-catalogue", "--json"]).ended(1);
    let lines = rebuilt.json_lines();
    let found: Vec<String> = defects(&lines).into_iter().map(|(_, key)| key).collect();
    let mut all = keys.to_vec();
    all.sort();
    assert_eq!(
        found.iter().collect::<std::collections::BTreeSet<_>>(),
        all.iter().collect()
    );
    assert_eq!(lines.last().unwrap()["summary"]["rows_added"], 33);

    for (key, kept) in keys.iter().zip(kept) {
        fs::remove_file(archive.object(key)).unwrap();
        fs::rename(kept, archive.object(key)).unwrap();
    }
    archive.run(&["rebuild-catalogue", "--json"]).clean();
    archive.run(&["verify", "--deep"]).clean();
    assert_eq!(archive.rows().len(), 35);
}
