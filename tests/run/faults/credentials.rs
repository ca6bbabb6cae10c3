//! Temporary credentials that expire while a run goes on.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{assert_told_once, finish, services};
use crate::support::answers::s3_error;
use crate::support::broker::{plain_records, plain_records_from};
use crate::support::proxy::Deed;
use crate::support::skip::service;

/// A key, its secret and its session token.
struct Temporary([String; 3]);

impl Temporary {
    /// From S3's own token service.
    fn get() -> Option<Self> {
        let (key, secret) = (
            service("TEST_S3_ACCESS_KEY")?,
            service("TEST_S3_SECRET_KEY")?,
        );
        let output = Command::new("curl")
            .args([
                "-sS",
                "--fail",
                "--aws-sigv4",
                "aws:amz:us-east-1:sts",
                "-d",
            ])
            .arg("Action=AssumeRole&Version=2011-06-15&DurationSeconds=900")
            .args(["--user", &format!("{key}:{secret}")])
            .arg(service("TEST_S3_ENDPOINT")?)
            .output()
            .expect("curl is here: the services were fetched with it");
        let answer = String::from_utf8(output.stdout).expect("XML");
        let value = |name: &str| {
            let (_, rest) = answer.split_once(&format!("<{name}>")).expect("it has one");
            let (value, _) = rest.split_once("</").expect("it ends");
            value.to_owned()
        };
        Some(Self(
            ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(value),
        ))
    }

    fn key(&self) -> &str {
        &self.0[0]
    }

    /// As AWS's tools keep them. Whole or not at all, for whoever reads it.
    fn write(&self, file: &Path) {
        let [key, secret, token] = &self.0;
        let text = format!(
            "[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n\
             aws_session_token = {token}\n"
        );
        let new = file.with_extension("new");
        std::fs::write(&new, text).expect("a folder of ours");
        std::fs::rename(new, file).expect("a folder of ours");
    }
}

#[test]
fn credentials_that_expire_before_their_file_is_renewed_are_waited_for_without_a_restart() {
    let (Some((broker, mut place)), Some(old), Some(new)) =
        (services(), Temporary::get(), Temporary::get())
    else {
        return;
    };
    let topic = broker.create("expired", 2);
    let mut records = plain_records(&topic, 2, 50);
    broker.send(&records);
    let proxy = place.store_through_proxy();
    let file = place.path("credentials");
    old.write(&file);
    place.use_credentials_of(&file);
    let process = place.start(&["run", "--json"]);
    place.wait_for_rows(50);

    let expired = old.key().to_owned();
    proxy.decide(move |request| {
        let head = String::from_utf8_lossy(&request[..request.len().min(4096)]);
        match head.contains(&expired) {
            true => Deed::Answer(s3_error(400, "ExpiredToken")),
            false => Deed::Pass,
        }
    });
    let more = plain_records_from(&topic, 2, 50..150);
    broker.send(&more);
    records.extend(more);
    process.wait_for("expired");
    std::thread::sleep(Duration::from_secs(2));
    new.write(&file);
    let ended = finish(&place, process, &records);
    assert_told_once(&ended, "store");
    assert!(!ended.stderr.contains(&new.0[1]), "a secret was logged");
}
