//! A store that is down, slow, overloaded, behind a broken proxy or of another
//! kind is told apart, so that the caller does the right thing.

#[path = "support/fault.rs"]
mod fault;
#[path = "support/store.rs"]
#[expect(dead_code, reason = "only the configuration is of use here")]
mod support;

use std::time::{Duration, Instant};

use archive_ingest::config::S3Config;
use archive_ingest::store::{Location, Put, S3Store, Store, StoreError};

use fault::{Answer, Server, response, s3_error};

const KEY: &str = "topic/2024/1/1/a.bson";

/// A store at the server; a request lasts at most a second.
fn store(server: &Server) -> S3Store {
    S3Store::open(&S3Config {
        request_timeout_seconds: 1,
        ..support::s3_at(&server.url, "id", "secret")
    })
    .expect("a configuration without fault")
}

fn object(range: Option<std::ops::Range<u64>>) -> Location {
    Location {
        bucket: "archive".to_owned(),
        key: KEY.to_owned(),
        range,
    }
}

/// A store whose every request is answered so.
async fn answering(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (S3Store, Server) {
    let server = Server::start(move |_| answer()).await;
    (store(&server), server)
}

/// The error of each kind of request.
async fn errors(store: &S3Store) -> [StoreError; 5] {
    [
        store.check().await.expect_err("check"),
        store.list("", None).await.map(drop).expect_err("list"),
        store.get(&object(None)).await.map(drop).expect_err("get"),
        store
            .head("archive", KEY)
            .await
            .map(drop)
            .expect_err("head"),
        store
            .put_new(KEY, vec![1; 100])
            .await
            .map(drop)
            .expect_err("put"),
    ]
}

#[tokio::test]
async fn listing_that_is_not_in_key_order_has_all_its_objects() {
    let object = |name: &str| {
        format!(
            "<Contents><Key>t/2026/11/28/{name}</Key><Size>7</Size>\
             <LastModified>2026-11-28T00:00:00.000Z</LastModified></Contents>"
        )
    };
    let xml = format!(
        "<ListBucketResult><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>{}{}\
         </ListBucketResult>",
        object("b.bson"),
        object("a.bson")
    );
    let (store, _server) = answering(move || Answer::Bytes(response(200, "", &xml))).await;
    let page = store.list("t/2026/11/28/", None).await.expect("a listing");
    let keys: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
    assert_eq!(keys, ["t/2026/11/28/b.bson", "t/2026/11/28/a.bson"]);
}

#[tokio::test]
async fn a_store_that_asks_for_fewer_requests_is_busy() {
    let (store, _server) = answering(|| Answer::Bytes(s3_error(503, "SlowDown"))).await;
    for error in errors(&store).await {
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_busy_as_soon_as_the_timeout_is_over() {
    let (store, _server) = answering(|| Answer::BytesThenHang(Vec::new())).await;
    let begun = Instant::now();
    for error in errors(&store).await {
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_body_that_stops_coming_is_busy_as_soon_as_the_timeout_is_over() {
    let half = b"HTTP/1.1 200 OK\r\netag: \"0\"\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let (store, _server) = answering(move || Answer::BytesThenHang(half.clone())).await;
    let begun = Instant::now();
    let error = store.get(&object(None)).await.expect_err("half a body");
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn half_a_body_is_unavailable_and_never_a_shorter_object() {
    let half = b"HTTP/1.1 200 OK\r\netag: \"0\"\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    let (store, _server) = answering(move || Answer::BytesThenClose(half.clone())).await;
    for error in [
        store.get(&object(None)).await.map(drop).expect_err("get"),
        store.list("", None).await.map(drop).expect_err("list"),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_unavailable() {
    let (store, _server) = answering(|| Answer::BytesThenClose(Vec::new())).await;
    for error in errors(&store).await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_friendly_page_with_status_200_is_unavailable_and_not_a_stored_object() {
    let page = "<html><body>Welcome</body></html>";
    let (store, _server) = answering(|| Answer::Bytes(response(200, "", page))).await;
    for error in [
        store
            .put_new(KEY, vec![1])
            .await
            .map(drop)
            .expect_err("put"),
        store.list("", None).await.map(drop).expect_err("list"),
        store.check().await.expect_err("check"),
        store
            .head("archive", KEY)
            .await
            .map(drop)
            .expect_err("head"),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_range_asked_for_is_unavailable() {
    for (status, headers) in [
        (200, ""),
        (206, "content-range: bytes 0-3/100\r\n"),
        (206, "content-range: bytes 4-8/100\r\n"),
        (206, "content-range: bytes 4-7/*\r\n"),
    ] {
        let whole = response(status, headers, "0123");
        let (store, _server) = answering(move || Answer::Bytes(whole.clone())).await;
        let error = store.get(&object(Some(4..8))).await.expect_err("bytes 4-7");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_that_finds_nothing_does_not_say_that_the_object_is_missing() {
    let page = "<html><body>Not found</body></html>";
    let (store, _server) = answering(|| Answer::Bytes(response(404, "", page))).await;
    for error in errors(&store).await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn only_s3s_own_precondition_failed_says_that_the_object_exists() {
    let (store, _server) = answering(|| Answer::Bytes(s3_error(412, "PreconditionFailed"))).await;
    let put = store.put_new(KEY, vec![1]).await;
    assert_eq!(put.expect("it exists"), Put::Exists);
    let (store, _server) = answering(|| Answer::Bytes(response(412, "", ""))).await;
    let error = store.put_new(KEY, vec![1]).await.expect_err("whose 412?");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_store_that_is_settling_a_race_of_two_puts_is_busy() {
    let conflict = || Answer::Bytes(s3_error(409, "ConditionalRequestConflict"));
    let (store, _server) = answering(conflict).await;
    let error = store.put_new(KEY, vec![1]).await.expect_err("a conflict");
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
}

#[tokio::test]
async fn a_fixed_pair_of_credentials_that_has_expired_is_refused() {
    let (store, _server) = answering(|| Answer::Bytes(s3_error(403, "ExpiredToken"))).await;
    for error in errors(&store).await {
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("expired"), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_clock_is_refused_by_name() {
    let (store, _server) = answering(|| Answer::Bytes(s3_error(403, "RequestTimeTooSkewed"))).await;
    for error in errors(&store).await {
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("clock"), "{error}");
    }
}

#[tokio::test]
async fn a_bucket_in_another_region_is_refused_by_name() {
    let (store, _server) = answering(|| Answer::Bytes(s3_error(301, "PermanentRedirect"))).await;
    let error = store.check().await.expect_err("elsewhere");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("store-region-name"), "{error}");
}

#[tokio::test]
async fn a_backup_bucket_may_be_in_another_region() {
    let empty = "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>\
                 </ListBucketResult>";
    let server = Server::start(move |head| {
        Answer::Bytes(if head.contains("/backup/") {
            s3_error(301, "PermanentRedirect")
        } else {
            response(200, "", empty)
        })
    })
    .await;
    let config = S3Config {
        backup_bucket: Some("backup".to_owned()),
        ..support::s3_at(&server.url, "id", "secret")
    };
    let store = S3Store::open(&config).expect("a configuration without fault");
    store.check().await.expect("both buckets are there");
}

#[tokio::test]
async fn without_conditional_put_an_object_is_looked_up_first_and_the_condition_not_tried_again() {
    let server = Server::start(|head| {
        Answer::Bytes(if head.to_ascii_lowercase().contains("if-none-match") {
            s3_error(501, "NotImplemented")
        } else if head.starts_with("PUT") {
            response(200, "etag: \"0\"\r\n", "")
        } else if head.contains("/old.bson") {
            let headers = "last-modified: Thu, 29 Feb 2024 12:00:00 GMT\r\n";
            response(200, headers, "")
        } else if head.starts_with("HEAD") {
            response(404, "", "")
        } else {
            s3_error(404, "NoSuchKey")
        })
    })
    .await;
    let store = store(&server);
    let put = store.put_new("t/new.bson", vec![1]).await;
    assert_eq!(put.expect("a put"), Put::Stored);
    let put = store.put_new("t/old.bson", vec![1]).await;
    assert_eq!(put.expect("a put"), Put::Exists);
    let put = store.put_new("t/newer.bson", vec![1]).await;
    assert_eq!(put.expect("a put"), Put::Stored);
    let conditional = server
        .requests()
        .iter()
        .filter(|head| head.contains("if-none-match"))
        .count();
    assert_eq!(conditional, 1);
}

#[tokio::test]
async fn a_proxys_501_is_unavailable_and_the_condition_is_sent_again() {
    let page = "<html><body>Not Implemented</body></html>";
    let (store, server) = answering(|| Answer::Bytes(response(501, "", page))).await;
    for _ in 0..2 {
        let error = store.put_new(KEY, vec![1]).await.expect_err("whose 501?");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
    store.probe_conditional_put().await.expect_err("whose 501?");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for head in requests {
        assert!(head.to_ascii_lowercase().contains("if-none-match: *"));
    }
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_found_by_the_probe_and_asked_before_each_put() {
    let server = Server::start(|head| {
        Answer::Bytes(if head.starts_with("PUT") {
            response(200, "etag: \"0\"\r\n", "")
        } else {
            response(200, "last-modified: Thu, 29 Feb 2024 12:00:00 GMT\r\n", "")
        })
    })
    .await;
    let store = store(&server);
    let honours = store.probe_conditional_put().await;
    assert!(!honours.expect("an answer"));
    assert_eq!(server.requests().len(), 2);
    // It would have been replaced.
    let put = store.put_new(KEY, vec![1]).await;
    assert_eq!(put.expect("it exists"), Put::Exists);
    assert!(server.requests()[2].starts_with("HEAD"));
}

#[tokio::test]
async fn one_refused_put_of_the_probe_object_proves_that_the_condition_is_honoured() {
    let (store, server) = answering(|| Answer::Bytes(s3_error(412, "PreconditionFailed"))).await;
    let honours = store.probe_conditional_put().await;
    assert!(honours.expect("an answer"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_at_once_share_their_connections() {
    let server = Server::start(|_| Answer::Bytes(response(200, "etag: \"0\"\r\n", ""))).await;
    let store = store(&server);
    for round in 0..10 {
        let keys: Vec<String> = (0..128).map(|i| format!("t/{round}-{i}.bson")).collect();
        let puts = keys.iter().map(|key| store.put_new(key, vec![7; 1500]));
        for put in futures::future::join_all(puts).await {
            assert_eq!(put.expect("a put"), Put::Stored);
        }
    }
    assert_eq!(server.requests().len(), 1_280);
    assert!(server.connections() <= 128, "{}", server.connections());
}

#[tokio::test]
async fn every_put_carries_the_condition_and_a_digest_of_its_body() {
    let server = Server::start(|_| Answer::Bytes(response(200, "etag: \"0\"\r\n", ""))).await;
    store(&server)
        .put_new("t+u/a.bson", b"body".to_vec())
        .await
        .expect("a put");
    let head = server.requests().concat().to_ascii_lowercase();
    assert!(
        head.starts_with("put /archive/t%2bu/a.bson http/1.1"),
        "{head}"
    );
    assert!(head.contains("if-none-match: *"), "{head}");
    // SHA-256 of "body"; the signature covers it.
    let digest = "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5";
    assert!(head.contains(digest), "{head}");
    assert!(!head.contains("secret"), "{head}");
}
