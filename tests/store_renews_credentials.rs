//! Credentials that expire are renewed without a restart.
//!
//! One test in a process of its own: it sets the environment.

#![allow(
    unsafe_code,
    reason = "only the environment names the file, and this process has one test"
)]

#[path = "support/fault.rs"]
#[expect(dead_code, reason = "the server can do more wrong than is needed here")]
mod fault;
#[path = "support/store.rs"]
#[expect(dead_code, reason = "only the configuration is of use here")]
mod support;

use std::path::Path;

use archive_ingest::config::S3Config;
use archive_ingest::store::{Put, S3Store, Store, StoreError};

use fault::{Answer, Server, response, s3_error};

fn write_profile(file: &Path, access_key: &str) {
    let text = format!(
        "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = s\naws_session_token = t\n"
    );
    std::fs::write(file, text).expect("a credentials file");
}

#[test]
fn expired_credentials_are_read_anew_and_the_retry_succeeds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("credentials");
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_PROFILE",
    ] {
        // SAFETY: this process has no other thread yet that reads the environment.
        unsafe { std::env::remove_var(name) };
    }
    // SAFETY: as above.
    unsafe { std::env::set_var("AWS_SHARED_CREDENTIALS_FILE", &file) };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(renewal(file));
}

async fn renewal(file: std::path::PathBuf) {
    write_profile(&file, "OLDKEY");
    let server = Server::start(move |head| {
        if head.contains("OLDKEY") {
            // Somebody renews the file while the old key is in use.
            write_profile(&file, "NEWKEY");
            return Answer::Bytes(s3_error(400, "ExpiredToken"));
        }
        Answer::Bytes(response(200, "etag: \"0\"\r\n", ""))
    })
    .await;
    let store = S3Store::open(&S3Config {
        credentials: None,
        ..support::s3_at(&server.url, "", "")
    })
    .expect("a configuration without fault");
    let error = store.put_new("t/a.bson", vec![1]).await.expect_err("old");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    let put = store.put_new("t/a.bson", vec![1]).await;
    assert_eq!(put.expect("renewed"), Put::Stored);
    assert!(server.requests()[1].contains("NEWKEY"));
    assert!(server.requests()[1].contains("x-amz-security-token: t"));
}
