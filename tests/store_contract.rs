//! What every store promises, over a directory and over a real S3.

#[path = "support/store.rs"]
mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use archive_ingest::config::S3Config;
use archive_ingest::store::{Location, ObjectInfo, Put, S3Store, Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;

use support::{Backend, s3_at, s3_config};

/// Runs each promise over each store.
macro_rules! contract {
    ($($promise:ident,)*) => {
        mod directory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(super::Backend::directory()).await;
            })*
        }
        mod s3 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                if let Some(backend) = super::Backend::s3() {
                    super::$promise(backend).await;
                }
            })*
        }
    };
}

contract![
    a_store_that_is_there_passes_its_check,
    what_was_stored_first_stays_and_comes_back_byte_for_byte,
    of_many_puts_of_one_key_at_once_exactly_one_is_stored,
    an_empty_object_is_an_object,
    an_object_of_20_megabytes_comes_back_whole_and_in_parts,
    a_range_gives_exactly_its_bytes_and_one_beyond_the_end_is_an_error,
    every_legal_character_of_a_topic_is_kept_in_a_key,
    a_key_that_means_another_one_is_refused,
    a_missing_object_is_not_found_and_a_missing_bucket_is_refused,
    head_tells_size_and_time_as_the_listing_does,
    a_listing_has_every_key_once_in_byte_order_and_in_pages,
    a_prefix_ends_where_it_ends,
    a_listing_of_everything_is_in_order_and_has_our_keys,
    a_listing_can_be_taken_up_by_another_process,
    folder_listing_shows_its_objects_and_the_folders_in_it,
    folder_listing_has_everything_once_in_pages,
    a_conditional_put_is_honoured_and_its_probe_is_in_no_listing,
];

fn whole(store: &dyn Store, key: &str) -> Location {
    Location {
        bucket: store.bucket().to_owned(),
        key: key.to_owned(),
        range: None,
    }
}

async fn put(store: &dyn Store, key: &str, body: &[u8]) -> Put {
    let put = store.put_new(key, body.to_vec()).await;
    put.unwrap_or_else(|e| panic!("put {key}: {e}"))
}

async fn get(store: &dyn Store, key: &str) -> Vec<u8> {
    let bytes = store.get(&whole(store, key)).await;
    bytes.unwrap_or_else(|e| panic!("get {key}: {e}"))
}

/// Stores an object of each key, many at once.
async fn put_all(store: &dyn Store, keys: &[String]) {
    stream::iter(keys)
        .map(Ok::<_, StoreError>)
        .try_for_each_concurrent(64, |key| async move {
            store.put_new(key, key.as_bytes().to_vec()).await.map(drop)
        })
        .await
        .expect("every put");
}

/// All pages of a listing.
async fn pages(store: &dyn Store, prefix: &str) -> Vec<Vec<ObjectInfo>> {
    let mut pages = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = store.list(prefix, next.as_deref()).await.expect("a page");
        pages.push(page.objects);
        next = page.next;
        if next.is_none() {
            return pages;
        }
    }
}

async fn list(store: &dyn Store, prefix: &str) -> Vec<String> {
    let pages = pages(store, prefix).await;
    pages.into_iter().flatten().map(|o| o.key).collect()
}

async fn a_store_that_is_there_passes_its_check(on: Backend) {
    on.store.check().await.expect("a store that is there");
}

async fn what_was_stored_first_stays_and_comes_back_byte_for_byte(on: Backend) {
    let key = on.key("2024/2/29/a.bson");
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(put(&*on.store, &key, &bytes).await, Put::Stored);
    assert_eq!(get(&*on.store, &key).await, bytes);
    assert_eq!(put(&*on.store, &key, b"other bytes").await, Put::Exists);
    assert_eq!(put(&*on.another(), &key, b"").await, Put::Exists);
    assert_eq!(get(&*on.another(), &key).await, bytes);
}

async fn of_many_puts_of_one_key_at_once_exactly_one_is_stored(on: Backend) {
    let stores = [on.another(), on.another()];
    for round in 0..8 {
        let key = on.key(&format!("new/folder/{round}.bson"));
        let (stores, key) = (&stores, &key);
        let puts = futures::future::join_all((0..16_usize).map(|writer| async move {
            let body = format!("writer {writer}");
            let put = put(&*stores[writer % 2], key, body.as_bytes()).await;
            (put, body)
        }))
        .await;
        let stored: Vec<_> = puts.iter().filter(|(put, _)| *put == Put::Stored).collect();
        assert_eq!(stored.len(), 1, "{puts:?}");
        assert_eq!(get(&*on.store, key).await, stored[0].1.as_bytes());
    }
}

async fn an_empty_object_is_an_object(on: Backend) {
    let key = on.key("empty");
    assert_eq!(put(&*on.store, &key, b"").await, Put::Stored);
    assert_eq!(get(&*on.store, &key).await, b"");
    let info = on.store.head(on.store.bucket(), &key).await;
    assert_eq!(info.expect("an empty object").size, 0);
    assert_eq!(list(&*on.store, &on.prefix).await, [key]);
}

async fn an_object_of_20_megabytes_comes_back_whole_and_in_parts(on: Backend) {
    let key = on.key("large");
    let bytes: Vec<u8> = (0..20_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert_eq!(put(&*on.store, &key, &bytes).await, Put::Stored);
    assert!(get(&*on.store, &key).await == bytes, "not the same bytes");
    let part = Location {
        range: Some(9_999_990..10_000_010),
        ..whole(&*on.store, &key)
    };
    let part = on.store.get(&part).await.expect("a part");
    assert_eq!(part, bytes[9_999_990..10_000_010]);
}

async fn a_range_gives_exactly_its_bytes_and_one_beyond_the_end_is_an_error(on: Backend) {
    let key = on.key("ten");
    put(&*on.store, &key, b"0123456789").await;
    let part = |range| Location {
        range: Some(range),
        ..whole(&*on.store, &key)
    };
    for range in [0..10, 0..1, 9..10, 3..7, 0..0, 10..10] {
        let bytes = on.store.get(&part(range.clone())).await.expect("a part");
        let wanted = &b"0123456789"[range.start as usize..range.end as usize];
        assert_eq!(bytes, wanted, "{range:?}");
    }
    for range in [0..11, 9..11, 10..11, 20..30, 11..11] {
        let error = on.store.get(&part(range.clone())).await;
        let error = error.expect_err("bytes that are not there");
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
    }
}

async fn every_legal_character_of_a_topic_is_kept_in_a_key(on: Backend) {
    let mut keys: Vec<String> = [
        "abcdefghijklmnopqrstuvwxyz/ABCDEFGHIJKLMNOPQRSTUVWXYZ/0123456789._-",
        "a+b/2024/1/1/c+d.bson",
        "a b/it's (100%) & more=~!*;,$@:é…",
        "..a/a../.b/...",
        "%2e%2e/%2F/a%20b",
    ]
    .map(|name| on.key(name))
    .to_vec();
    keys.push(on.key(&"t".repeat(249)));
    put_all(&*on.store, &keys).await;
    for key in &keys {
        assert_eq!(get(&*on.store, key).await, key.as_bytes());
        let info = on.store.head(on.store.bucket(), key).await.expect("head");
        assert_eq!(info.key, *key);
    }
    keys.sort();
    assert_eq!(list(&*on.store, &on.prefix).await, keys);
    let plus = list(&*on.store, &on.key("a+")).await;
    assert_eq!(plus, [on.key("a+b/2024/1/1/c+d.bson")]);
    let percent = list(&*on.store, &on.key("a b/it's (100%) & ")).await;
    assert_eq!(percent.len(), 1);
}

async fn a_key_that_means_another_one_is_refused(on: Backend) {
    for key in [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0b",
    ] {
        let error = on.store.put_new(key, Vec::new()).await;
        let error = error.expect_err("a key that is none");
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    }
    let outside = whole(&*on.store, "../../etc/passwd");
    let error = on.store.get(&outside).await.expect_err("outside");
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
}

async fn a_missing_object_is_not_found_and_a_missing_bucket_is_refused(on: Backend) {
    let there = on.key("there");
    put(&*on.store, &there, b"x").await;
    for key in [on.key("missing"), on.key("there/below")] {
        let error = on.store.get(&whole(&*on.store, &key)).await;
        let error = error.expect_err("nothing to get");
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        let error = on.store.head(on.store.bucket(), &key).await;
        let error = error.expect_err("nothing to see");
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    }
    let elsewhere = Location {
        bucket: "no-such-bucket-here".to_owned(),
        ..whole(&*on.store, &there)
    };
    let error = on.store.get(&elsewhere).await.expect_err("no bucket");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    let error = on.store.head(&elsewhere.bucket, &there).await;
    let error = error.expect_err("no bucket");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
}

async fn head_tells_size_and_time_as_the_listing_does(on: Backend) {
    let before = jiff::Timestamp::now().as_millisecond();
    let key = on.key("seven");
    put(&*on.store, &key, b"7 bytes").await;
    let info = on.store.head(on.store.bucket(), &key).await.expect("head");
    let listed = pages(&*on.store, &key).await.concat();
    assert_eq!((info.size, listed[0].size), (7, 7));
    // HTTP's dates have no fraction of a second.
    assert_eq!(info.modified / 1000, listed[0].modified / 1000);
    assert!((before - 2_000..before + 60_000).contains(&info.modified));
}

async fn a_listing_has_every_key_once_in_byte_order_and_in_pages(on: Backend) {
    let mut keys: Vec<String> = (0..2_500)
        .map(|i| on.key(&format!("t{}/2024/{}/{i}.bson", i % 7, i % 12)))
        .collect();
    put_all(&*on.store, &keys).await;
    keys.sort();
    let pages = pages(&*on.store, &on.prefix).await;
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
    let listed: Vec<String> = pages.concat().into_iter().map(|o| o.key).collect();
    assert!(listed == keys, "not the keys that were stored, in order");
}

async fn a_prefix_ends_where_it_ends(on: Backend) {
    let keys = ["a-b/1", "a.b/1", "a/1", "a/b/1", "a0/1", "ab/1", "b/1"].map(|name| on.key(name));
    put_all(&*on.store, &keys).await;
    for (prefix, wanted) in [
        ("", &keys[..]),
        ("a", &keys[..6]),
        ("a-", &keys[..1]),
        ("a-b/1", &keys[..1]),
        ("a/", &keys[2..4]),
        ("a/b", &keys[3..4]),
        ("a/b/", &keys[3..4]),
        ("b/1/", &[]),
        ("c", &[]),
    ] {
        let listed = list(&*on.store, &on.key(prefix)).await;
        assert_eq!(listed, wanted, "{prefix:?}");
    }
}

async fn a_listing_of_everything_is_in_order_and_has_our_keys(on: Backend) {
    let keys = ["a/1", "a-/1", "z"].map(|name| on.key(name));
    put_all(&*on.store, &keys).await;
    let listed = list(&*on.store, "").await;
    assert!(listed.is_sorted(), "out of order");
    let listed: BTreeSet<String> = listed.into_iter().collect();
    assert!(keys.iter().all(|key| listed.contains(key)));
}

async fn folder_listing_shows_its_objects_and_the_folders_in_it(on: Backend) {
    let keys = [
        "t/2026/11/28/x",
        "t/2026/11/29/y",
        "t/2026/z +%&",
        "t/notes",
        "t-2/2026/1",
        "t/2026 +%&/x",
    ];
    put_all(&*on.store, &keys.map(|name| on.key(name))).await;
    for (folder, objects, folders) in [
        ("", &[][..], &["t-2/", "t/"][..]),
        ("t/", &["t/notes"], &["t/2026 +%&/", "t/2026/"]),
        ("t/2026/", &["t/2026/z +%&"], &["t/2026/11/"]),
        ("t/2026/11/", &[], &["t/2026/11/28/", "t/2026/11/29/"]),
        ("t/2026/11/28/", &["t/2026/11/28/x"], &[]),
        ("t/2025/", &[], &[]),
    ] {
        let page = on.store.list_folder(&on.key(folder), None).await;
        let page = page.expect("a page");
        let listed: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
        assert_eq!(
            listed,
            Vec::from_iter(objects.iter().map(|o| on.key(o))),
            "{folder:?}"
        );
        assert_eq!(
            page.folders,
            Vec::from_iter(folders.iter().map(|f| on.key(f))),
            "{folder:?}"
        );
        assert_eq!(page.next, None);
    }
}

async fn folder_listing_has_everything_once_in_pages(on: Backend) {
    let objects = (0..700).map(|i| on.key(&format!("o{i:04}")));
    let nested = (0..800).map(|i| on.key(&format!("f{i:04}/x")));
    let keys: Vec<String> = objects.chain(nested).collect();
    put_all(&*on.store, &keys).await;
    let (mut shown, mut next, mut pages) = (vec![], None, 0);
    loop {
        // Each page is asked for by another process.
        let page = on.another().list_folder(&on.prefix, next.as_deref()).await;
        let page = page.expect("a page");
        shown.extend(page.objects.into_iter().map(|object| object.key));
        shown.extend(page.folders.into_iter().map(|folder| folder + "x"));
        pages += 1;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    shown.sort();
    assert_eq!(
        (pages, shown),
        (2, BTreeSet::from_iter(keys).into_iter().collect())
    );
}

async fn a_listing_can_be_taken_up_by_another_process(on: Backend) {
    let keys: Vec<String> = (0..1_001)
        .map(|i| on.key(&format!("{:04}", 9_999 - i)))
        .collect();
    put_all(&*on.store, &keys).await;
    let first = on.store.list(&on.prefix, None).await.expect("a page");
    let next = first.next.expect("another page");
    let other = on.another();
    let last = other.list(&on.prefix, Some(&next)).await.expect("a page");
    assert_eq!(last.objects.len(), 1);
    assert_eq!(last.objects[0].key, on.key("9999"));
    assert_eq!(last.next, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_directory_lists_exactly_what_was_stored_sorted_by_the_bytes_of_the_keys(
        names in prop::collection::btree_set("[ab0+.-]{0,2}[ab](/[ab0+.-]{0,2}[ab]){0,3}", 1..16),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let on = Backend::directory();
            let mut stored = BTreeSet::new();
            for name in &names {
                // A key that another one needs as a folder is refused.
                match on.store.put_new(name, Vec::new()).await {
                    Ok(_) => { stored.insert(name.clone()); }
                    Err(e) => prop_assert!(matches!(e, StoreError::Refused { .. }), "{}", e),
                }
            }
            prop_assert_eq!(list(&*on.store, "").await, Vec::from_iter(stored));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_directory_shows_files_of_others_and_no_unfinished_ones() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = archive_ingest::config::DirectoryConfig {
        path: folder.path().to_owned(),
        bucket: "archive".to_owned(),
        log_every: 0,
    };
    let old = folder.path().join(".unfinished/put-old");
    let new = folder.path().join(".unfinished/put-new");
    std::fs::create_dir(folder.path().join(".unfinished")).expect("a folder");
    for file in [&old, &new] {
        std::fs::write(file, "half").expect("a file");
    }
    let two_hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    let file = std::fs::File::options().write(true).open(&old);
    let file = file.expect("the old file");
    file.set_modified(two_hours_ago).expect("an older time");

    let store = archive_ingest::store::DirectoryStore::open(&config).expect("a store");
    std::fs::write(folder.path().join("archive/README"), "not ours").expect("a file");
    assert!(!old.exists(), "a crashed process's file is removed");
    assert!(new.exists(), "a running process's file is left alone");
    assert_eq!(list(&store, "").await, ["README"]);
}

#[tokio::test]
async fn a_directory_whose_bucket_vanished_fails_to_list_instead_of_being_empty() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = archive_ingest::config::DirectoryConfig {
        path: folder.path().to_owned(),
        bucket: "archive".to_owned(),
        log_every: 0,
    };
    let store = archive_ingest::store::DirectoryStore::open(&config).expect("a store");
    store.put_new("a/b", vec![1]).await.expect("a put");
    std::fs::rename(folder.path().join("archive"), folder.path().join("gone")).expect("a rename");
    let at = whole(&store, "a/b");
    for error in [
        store.list("", None).await.map(drop).expect_err("no bucket"),
        store.get(&at).await.map(drop).expect_err("no bucket"),
        store.check().await.expect_err("no bucket"),
    ] {
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("archive"), "{error}");
    }
    let error = store.put_new("a/c", vec![1]).await;
    assert!(error.is_err(), "a vanished bucket is not made anew");
}

/// Every request of a store with these settings, which must fail.
async fn errors(config: &S3Config) -> Vec<StoreError> {
    let store = S3Store::open(config).expect("a configuration without fault");
    let at = whole(&store, "contract/missing");
    vec![
        store.check().await.expect_err("check"),
        store.list("", None).await.map(drop).expect_err("list"),
        store.get(&at).await.map(drop).expect_err("get"),
        store
            .head(&at.bucket, &at.key)
            .await
            .map(drop)
            .expect_err("head"),
        store
            .put_new(&at.key, vec![1])
            .await
            .map(drop)
            .expect_err("put"),
    ]
}

#[tokio::test]
async fn wrong_credentials_are_refused_by_name_and_not_shown() {
    let Some(good) = s3_config() else { return };
    let pair = good.credentials.clone().expect("test credentials");
    let endpoint = good.endpoint_url.clone().expect("a test endpoint");
    let secret = "wrong-secret-of-mine";
    for (id, code) in [
        (pair.access_key_id.as_str(), "SignatureDoesNotMatch"),
        ("nobody", "InvalidAccessKeyId"),
    ] {
        let config = S3Config {
            primary_bucket: good.primary_bucket.clone(),
            ..s3_at(&endpoint, id, secret)
        };
        for error in errors(&config).await {
            let text = error.to_string();
            assert!(matches!(error, StoreError::Refused { .. }), "{text}");
            assert!(
                text.contains(code) && text.contains("S3_SECRET_ACCESS_KEY"),
                "{text}"
            );
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_refused_by_name() {
    let Some(good) = s3_config() else { return };
    let missing = S3Config {
        primary_bucket: "no-such-bucket-here".to_owned(),
        ..good.clone()
    };
    for error in errors(&missing).await {
        let text = error.to_string();
        assert!(matches!(error, StoreError::Refused { .. }), "{text}");
        assert!(
            text.contains("NoSuchBucket") && text.contains("no-such-bucket-here"),
            "{text}"
        );
    }
    let missing = S3Config {
        backup_bucket: Some("no-such-backup".to_owned()),
        ..good
    };
    let store = S3Store::open(&missing).expect("a configuration without fault");
    let error = store.check().await.expect_err("no backup bucket");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("no-such-backup"), "{error}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_unavailable_at_once() {
    // Nobody listens on a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let begun = Instant::now();
    for error in errors(&s3_at(&format!("http://127.0.0.1:{port}"), "id", "secret")).await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

async fn a_conditional_put_is_honoured_and_its_probe_is_in_no_listing(on: Backend) {
    for store in [on.another(), on.another()] {
        let honours = store.probe_conditional_put().await;
        assert!(honours.expect("an answer"), "{}", store.name());
    }
    let probes = list(&*on.store, "!").await;
    assert_eq!(probes, Vec::<String>::new());
}
