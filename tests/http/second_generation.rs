//! The second generation of the API, over everything that is archived.

use std::collections::BTreeMap;

use archive_ingest::envelope;
use uuid::Uuid;

use crate::http::{self, Answer};
use crate::scene::Serving;

/// The UUIDs of a page's messages, in its order.
fn uuids(page: &bson::Document) -> Vec<String> {
    let messages = page.get_array("messages").expect("an array");
    let uuid = |message: &bson::Bson| {
        let message = message.as_document().expect("a document");
        let annotations = message.get_document("annotations").expect("there");
        annotations
            .get_str("con_text_uuid")
            .expect("text")
            .to_owned()
    };
    messages.iter().map(uuid).collect()
}

fn all_pages(serving: &Serving, path: &str, way: &str) -> Vec<Vec<String>> {
    let mut pages = vec![];
    let mut bookmark = String::new();
    loop {
        let page = serving
            .get(&format!("{path}&page={bookmark}"))
            .with(200)
            .bson();
        pages.push(uuids(&page));
        match page.get_str(way) {
            Ok(next) => bookmark = next.to_owned(),
            Err(_) => return pages,
        }
    }
}

#[test]
fn every_message_comes_as_it_is_stored_and_its_value_alone_with_its_media_type() {
    let serving = Serving::known_data();
    let archived = serving.archived();
    assert!(archived.len() > 20);
    for message in &archived {
        let uuid = message.row.uuid;
        let answer = serving.get(&format!("/msg/{uuid}")).with(200);
        assert_eq!(answer.body.len() as i32, message.row.size);
        assert_eq!(crc32fast::hash(&answer.body), message.row.crc32);
        let document = envelope::decode(&answer.body).expect("a stored document");
        assert_eq!(document.value, message.record.value);
        let file = serving
            .get(&format!("/msg/{uuid}/raw_file/a%20name.bin"))
            .with(200);
        assert_eq!(file.body, message.record.value.clone().unwrap_or_default());
        assert_eq!(file.header("content-type"), Some(&*message.row.media_type));
        let disposition = file.header("content-disposition").expect("there");
        assert!(
            disposition.contains("filename=\"a name.bin\""),
            "{disposition}"
        );
    }
}

#[test]
fn a_part_a_tag_and_a_head_are_answered_as_http_has_it() {
    let serving = Serving::known_data();
    let archived = serving.archived();
    // Larger than what is read of the store at once.
    let largest = archived.iter().max_by_key(|m| m.row.size).expect("some");
    assert!(largest.row.size > 600_000);
    let path = format!("/msg/{}", largest.row.uuid);
    let whole = serving.get(&path).with(200);
    let tag = whole.header("etag").expect("a tag").to_owned();
    let known = serving
        .get_with(&path, &[&format!("If-None-Match: {tag}")])
        .with(304);
    assert!(known.body.is_empty());
    for (range, part) in [
        ("0-9", 0..10),
        ("300000-700000", 300_000..700_001),
        ("-5", whole.body.len() - 5..whole.body.len()),
    ] {
        let answer = serving
            .get_with(&path, &[&format!("Range: bytes={range}")])
            .with(206);
        assert_eq!(answer.body, whole.body[part.clone()]);
        let told = format!("bytes {}-{}/{}", part.start, part.end - 1, whole.body.len());
        assert_eq!(answer.header("content-range"), Some(&*told));
    }
    let far = serving
        .get_with(&path, &["Range: bytes=99999999-"])
        .with(416);
    assert_eq!(
        far.header("content-range"),
        Some(&*format!("bytes */{}", whole.body.len()))
    );
    let head = http::ask(serving.address, "HEAD", &path, &[], None).with(200);
    assert!(head.body.is_empty());
    assert_eq!(
        head.header("content-length"),
        whole.header("content-length")
    );
    assert_eq!(head.header("etag"), Some(&*tag));
    let options = http::ask(serving.address, "OPTIONS", &path, &[], None).with(204);
    assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS"));
    let delete = http::ask(serving.address, "DELETE", &path, &[], None).with(405);
    assert_eq!(delete.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn gzip_is_sent_where_it_is_asked_for_and_means_the_same() {
    let serving = Serving::known_data();
    let plain = serving.get("/messages").with(200);
    let packed = serving
        .get_with("/messages", &["Accept-Encoding: gzip"])
        .with(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(plain.header("content-encoding"), None);
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed.body[..]);
    std::io::Read::read_to_end(&mut decoder, &mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain.body);
    let part = serving.get_with(
        &format!("/msg/{}", serving.archived()[0].row.uuid),
        &["Accept-Encoding: gzip", "Range: bytes=0-9"],
    );
    assert_eq!(part.with(206).header("content-encoding"), None);
}

#[test]
fn the_pages_of_a_list_are_all_messages_once_in_order_in_both_directions() {
    let serving = Serving::known_data();
    let mut rows: Vec<_> = serving.archived().into_iter().map(|m| m.row).collect();
    rows.sort_by_key(|row| row.timestamp);
    let expected: Vec<Uuid> = rows.iter().map(|row| row.uuid).collect();
    for kind in ["", "meta=true&"] {
        for (asc, timestamps_rise) in [("true", true), ("false", false)] {
            let path = format!("/messages?{kind}asc={asc}&limit=5");
            let forward = all_pages(&serving, &path, "next");
            assert!(
                forward[..forward.len() - 1]
                    .iter()
                    .all(|page| page.len() == 5)
            );
            let mut all: Vec<String> = forward.concat();
            let times: Vec<i64> = all
                .iter()
                .map(|uuid| {
                    rows.iter()
                        .find(|r| r.uuid.to_string() == *uuid)
                        .expect("known")
                        .timestamp
                })
                .collect();
            assert!(
                times
                    .windows(2)
                    .all(|w| (w[0] <= w[1]) == timestamps_rise || w[0] == w[1])
            );
            // Back from the last page.
            let last = serving.get(&path).with(200).bson();
            let mut bookmark = last.get_str("next").expect("more").to_owned();
            let mut seen = uuids(&last);
            let mut page = last;
            while let Ok(next) = page.get_str("next") {
                bookmark = next.to_owned();
                page = serving.get(&format!("{path}&page={next}")).with(200).bson();
                seen = uuids(&page);
            }
            let mut back = vec![seen];
            while let Ok(prev) = page.get_str("prev") {
                page = serving.get(&format!("{path}&page={prev}")).with(200).bson();
                back.push(uuids(&page));
            }
            back.reverse();
            assert_eq!(back.concat(), all);
            assert!(!bookmark.is_empty());
            all.sort();
            let mut sorted: Vec<String> = expected.iter().map(Uuid::to_string).collect();
            sorted.sort();
            assert_eq!(all, sorted);
        }
    }
}

#[test]
fn a_list_holds_each_message_as_it_is_stored_and_with_meta_what_the_catalogue_says() {
    let serving = Serving::known_data();
    let rows: BTreeMap<String, _> = serving
        .archived()
        .into_iter()
        .map(|m| (m.row.uuid.to_string(), m.row))
        .collect();
    let page = serving.get("/messages?limit=64").with(200).bson();
    for message in page.get_array("messages").expect("an array") {
        let bytes = message
            .as_document()
            .expect("a document")
            .to_vec()
            .expect("BSON");
        let uuid = &uuids(&bson::doc! {"messages": [message.clone()]})[0];
        assert_eq!(crc32fast::hash(&bytes), rows[uuid].crc32);
    }
    let page = serving.get("/messages?meta=1").with(200).bson();
    for message in page.get_array("messages").expect("an array") {
        let message = message.as_document().expect("a document");
        let names: Vec<&String> = message.keys().collect();
        assert_eq!(names, ["metadata", "annotations"]);
        let annotations = message.get_document("annotations").expect("there");
        let row = &rows[annotations.get_str("con_text_uuid").expect("text")];
        assert_eq!(annotations.get_i32("size").ok(), Some(row.size));
        assert_eq!(annotations.get_str("title").expect("text"), row.title);
        assert_eq!(annotations.get_bool("retracted").ok(), Some(false));
        let names: Vec<&str> = annotations.keys().map(String::as_str).collect();
        let told = "con_text_uuid size crc32 public con_message_crc32 title sender media_type file_name originator retracted";
        assert_eq!(names, told.split(' ').collect::<Vec<_>>());
    }
}

#[test]
fn topics_counts_and_lists_agree() {
    let serving = Serving::known_data();
    let topics = serving.get("/topics").with(200).bson();
    let topics: Vec<&str> = topics
        .get_array("topics")
        .expect("an array")
        .iter()
        .map(|topic| topic.as_str().expect("text"))
        .collect();
    let count = |query: &str| -> i64 {
        let document = serving
            .get(&format!("/messages/count{query}"))
            .with(200)
            .bson();
        document.get_i32("count").expect("a number").into()
    };
    let archived = serving.archived();
    assert_eq!(count(""), archived.len() as i64);
    let mut sum = 0;
    for topic in &topics {
        let listed = serving
            .get(&format!("/topic/{topic}?meta=true&limit=1024"))
            .with(200)
            .bson();
        let of_topic = archived.iter().filter(|m| &*m.row.topic == *topic).count();
        assert_eq!(uuids(&listed).len(), of_topic);
        assert_eq!(count(&format!("?topic={topic}")), of_topic as i64);
        sum += of_topic;
    }
    assert_eq!(sum, archived.len());
    let two = format!("?topic={}&topic={}", topics[0], topics[1]);
    let of_two = uuids(&serving.get(&format!("/messages{two}")).with(200).bson()).len();
    assert_eq!(count(&two), of_two as i64);
    let times: Vec<i64> = archived.iter().map(|m| m.row.timestamp).collect();
    let (from, to) = (times[0], times[0] + 1);
    let at = times.iter().filter(|t| **t == from).count() as i64;
    assert_eq!(count(&format!("?start_time={from}&end_time={to}")), at);
    assert_eq!(count(&format!("?start_time={from}&end_time={from}")), 0);
    assert!(uuids(&serving.get("/topic/no.such.topic").with(200).bson()).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_in_the_words_that_clients_know() {
    let serving = Serving::known_data();
    let refused = |path: &str, status: u16| -> Answer { serving.get(path).with(status) };
    assert_eq!(refused("/msg/nonsense", 400).text(), "Invalid Message ID");
    let nobody = "/msg/00000000-0000-4000-8000-000000000000";
    assert_eq!(refused(nobody, 404).text(), "Message not found");
    assert_eq!(
        refused("/msg/x/raw_file/y", 400).text(),
        "Invalid Message ID"
    );
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=",
        "page=nonsense",
        "start_time=5&end_time=4",
        "start_time=x",
        "end_time=1.5",
        "asc=maybe",
        "meta=2",
        "include_retracted=x",
        "start_time=99999999999999999999",
    ] {
        for path in ["/messages", "/topic/t"] {
            let answer = refused(&format!("{path}?{query}"), 400);
            assert_eq!(
                answer.header("content-type"),
                Some("text/plain; charset=utf-8")
            );
        }
    }
    refused("/topic/a%00b", 400);
    refused("/messages?topic=%00", 400);
    refused("/messages/count?start_time=2&end_time=1", 400);
    refused("/topic/%FF", 400);
    // More than a page can have is as much as it can have.
    serving.get("/messages?limit=100000").with(200);
    let error = refused("/nothing/here", 404).json();
    assert!(error["error"].is_string());
    let read_only = http::ask(serving.address, "POST", "/topic/t", &[], Some(b"x")).with(501);
    assert!(read_only.text().contains("read-only"));
    let retract = http::ask(
        serving.address,
        "PUT",
        &format!("{nobody}/retraction"),
        &[],
        None,
    );
    retract.with(501);
}

#[test]
fn web_pages_of_configured_origins_may_ask_and_others_may_not() {
    let mut place = crate::support::Place::embedded();
    place.run_to_end();
    place.set(
        "listen",
        "api-cors-origins",
        "\"https://a.example, https://b.example\"",
    );
    let serving = Serving::of(place);
    let ask = |origin: &str| {
        serving
            .get_with("/topics", &[&format!("Origin: {origin}")])
            .with(200)
    };
    let allowed = ask("https://b.example");
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://b.example")
    );
    assert_eq!(
        ask("https://c.example").header("access-control-allow-origin"),
        None
    );
    let preflight = http::ask(
        serving.address,
        "OPTIONS",
        "/topic/t",
        &[
            "Origin: https://a.example",
            "Access-Control-Request-Method: POST",
        ],
        None,
    );
    let preflight = preflight.with(204);
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some("https://a.example")
    );
    let methods = preflight.header("access-control-allow-methods");
    assert_eq!(methods, Some("GET, HEAD, POST, OPTIONS"));
}
