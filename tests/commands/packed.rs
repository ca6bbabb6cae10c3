//! Room for objects that hold several messages: the catalogue says where in its
//! object a message lies, and every command goes by that.

use std::fs;

use serde_json::Value;

use crate::archive::{Archive, text};

/// Puts two messages into one object called `name`, and gives their rows as
/// they were and their documents.
fn pack(archive: &Archive, name: &str) -> [(Value, Vec<u8>); 2] {
    let rows = [2, 5].map(|offset| archive.row_at("known.values", offset));
    let documents = rows.map(|row| {
        let object = archive.object(&text(&row["key"]));
        let document = fs::read(&object).unwrap();
        fs::remove_file(object).unwrap();
        (row, document)
    });
    let mut packed = b"what another layout may begin with".to_vec();
    for (row, document) in &documents {
        archive.sql(&format!(
            "UPDATE messages SET key = '{name}', object_offset = {} WHERE uuid = '{}'",
            packed.len(),
            text(&row["uuid"])
        ));
        packed.extend(document);
    }
    fs::write(archive.object(name), packed).unwrap();
    archive.make_old(&archive.object(name));
    documents
}

/// Also called like a message that lies elsewhere: a pack may lose the claim of
/// the one that it was named after.
fn names(archive: &Archive) -> [String; 2] {
    let elsewhere = text(&archive.row_at("known.values", 1)["uuid"]);
    [
        "known.values/2023/11/14/0001.pack".to_owned(),
        format!("known.values/2023/11/14/{elsewhere}-2.bson"),
    ]
}

#[test]
fn messages_that_share_an_object_are_fetched_listed_and_verified_each_by_itself() {
    for which in 0..2 {
        let archive = Archive::known();
        let name = &names(&archive)[which];
        let packed = pack(&archive, name);
        for (row, document) in &packed {
            let uuid = text(&row["uuid"]);
            let fetched = archive.run(&["fetch-uuid", "--bson", &uuid]).clean();
            assert!(fetched.stdout == *document, "{row}");
            archive.run(&["fetch-uuid", &uuid]).clean();
            let listed = archive.row_at("known.values", row["offset"].as_i64().unwrap());
            assert_eq!(
                (&listed["uuid"], &listed["size"]),
                (&row["uuid"], &row["size"])
            );
            assert_eq!(text(&listed["key"]), *name);
            assert!(listed["object_offset"].is_i64());
        }
        let lines = archive.run(&["list-archive"]).clean().lines();
        assert_eq!(lines.iter().filter(|line| line.ends_with(name)).count(), 2);
        for arguments in [&["verify", "--json"][..], &["verify", "--json", "--deep"]] {
            let said = archive.run(arguments).clean().json_lines();
            let summary = &said[0]["summary"];
            assert_eq!(
                (&summary["messages"], &summary["objects"]),
                (&35.into(), &34.into())
            );
        }
        let again = archive
            .run(&["run", "--until-eos", "--only", "archiver", "--json"])
            .clean();
        assert_eq!(again.json_lines()[0]["archived"], 0);
        archive.run(&["verify", "--deep"]).clean();
    }
}

#[test]
fn an_object_that_ends_within_its_last_message_is_told_for_that_message_alone() {
    let archive = Archive::known();
    let name = &names(&archive)[0];
    let [_, (last, _)] = pack(&archive, name);
    let object = archive.object(name);
    let bytes = fs::read(&object).unwrap();
    fs::write(&object, &bytes[..bytes.len() - 1]).unwrap();
    for (arguments, kind) in [
        (&["verify", "--json"][..], "wrong_size"),
        (&["verify", "--json", "--deep"], "unreadable_object"),
    ] {
        let said = archive.run(arguments).ended(1).json_lines();
        let defects: Vec<&Value> = said.iter().filter_map(|line| line.get("defect")).collect();
        assert_eq!(defects.len(), 1, "{said:?}");
        assert_eq!(
            (&defects[0]["kind"], &defects[0]["uuid"]),
            (&kind.into(), &last["uuid"])
        );
    }
}
