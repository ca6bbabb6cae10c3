//! The buckets and the policy that `deploy/` creates, on a real MinIO: the archive
//! works with them, and the archiver's credential can destroy nothing.

use std::process::{Command, Output, Stdio};

#[path = "support/skip.rs"]
mod skip;

use skip::service;

/// A deployment's buckets and user of its own on the shared MinIO.
struct Deployment {
    mc: String,
    endpoint: String,
    bucket: String,
    backup: String,
    user: String,
    folder: tempfile::TempDir,
}

const USER_SECRET: &str = "a-secret-of-the-archiver";

impl Deployment {
    /// `None`, said loudly, where a service is missing.
    fn create() -> Option<Self> {
        let (mc, endpoint) = (service("TEST_MC")?, service("TEST_S3_ENDPOINT")?);
        let name = format!("{:016x}", rand::random::<u64>());
        let deployment = Self {
            mc,
            endpoint,
            bucket: format!("archive-{name}"),
            backup: format!("backup-{name}"),
            user: format!("user-{name}"),
            folder: tempfile::tempdir().unwrap(),
        };
        deployment.run_script();
        Some(deployment)
    }

    fn run_script(&self) {
        // The script calls `mc`, wherever the test's is.
        let link = self.folder.path().join("mc");
        if !link.exists() {
            std::os::unix::fs::symlink(&self.mc, &link).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/deploy/minio/buckets.sh"
            ))
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("MINIO_URL", &self.endpoint)
            .env("MINIO_ROOT_USER", service("TEST_S3_ACCESS_KEY").unwrap())
            .env(
                "MINIO_ROOT_PASSWORD",
                service("TEST_S3_SECRET_KEY").unwrap(),
            )
            .env("S3_ACCESS_KEY_ID", &self.user)
            .env("S3_SECRET_ACCESS_KEY", USER_SECRET)
            .env("ARCHIVE_BUCKET", &self.bucket)
            .env("BACKUP_BUCKET", &self.backup)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }

    /// mc with the archiver's credential.
    fn mc(&self, arguments: &[&str]) -> Output {
        let address = self.endpoint.replacen("http://", "", 1);
        Command::new(&self.mc)
            .arg("--quiet")
            .args(arguments)
            .env("MC_CONFIG_DIR", self.folder.path().join("config"))
            .env(
                "MC_HOST_a",
                format!("http://{}:{USER_SECRET}@{address}", self.user),
            )
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The keys that the archiver's credential lists.
    fn keys(&self) -> Vec<String> {
        let listed = self.mc(&["find", &format!("a/{}", self.bucket)]);
        assert!(listed.status.success(), "{}", text(&listed));
        let mut keys: Vec<String> = String::from_utf8(listed.stdout)
            .unwrap()
            .lines()
            .filter(|line| line.ends_with(".bson"))
            .map(str::to_owned)
            .collect();
        keys.sort();
        keys
    }

    /// archive_ingest on these buckets, with the archiver's credential.
    fn program(&self, arguments: &[&str]) -> Output {
        let housekeeping = self.folder.path().join("housekeeping.toml");
        let catalogue = self.folder.path().join("catalogue.db");
        std::fs::write(
            &housekeeping,
            format!(
                "[own-store]\nstore-type = \"S3\"\nstore-primary-bucket = {:?}\n\
                 store-backup-bucket = {:?}\nstore-endpoint-url = {:?}\n\
                 [own-db]\ndb-type = \"sqlite\"\ndb-path = {:?}\n",
                self.bucket,
                self.backup,
                self.endpoint,
                catalogue.to_str().unwrap()
            ),
        )
        .unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_archive_ingest"))
            .arg("--config")
            .arg(&housekeeping)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("S3_ACCESS_KEY_ID", &self.user)
            .env("S3_SECRET_ACCESS_KEY", USER_SECRET)
            .env("API_LISTEN", "off")
            .env("PRODUCER_LISTEN", "off")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        output
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn archiver_credential_archives_and_cannot_destroy_an_object() {
    let Some(deployment) = Deployment::create() else {
        return;
    };
    let run = ["run", "--only", "archiver", "--until-eos"];
    deployment.program(&[&run[..], &["-D", "own-db", "-S", "own-store"]].concat());
    let verified = deployment.program(&["verify", "--deep", "-D", "own-db", "-S", "own-store"]);
    let keys = deployment.keys();
    assert!(keys.len() > 30, "{keys:?}\n{}", text(&verified));
    let key = &keys[0];
    let original = deployment.mc(&["cat", key]).stdout;
    assert!(!original.is_empty());

    // Deleting the object or its only version is refused.
    for arguments in [
        &["rm", "--force", key][..],
        &["rm", "--force", "--versions", key][..],
    ] {
        let removed = deployment.mc(arguments);
        assert!(
            !removed.status.success(),
            "{arguments:?}: {}",
            text(&removed)
        );
    }
    let suspended = deployment.mc(&["version", "suspend", &format!("a/{}", deployment.bucket)]);
    assert!(!suspended.status.success(), "{}", text(&suspended));

    // MinIO cannot refuse a PUT over an object, but the object stays as a
    // version that the same credential can read.
    let empty = deployment.folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let replaced = deployment.mc(&["cp", empty.to_str().unwrap(), key]);
    assert!(replaced.status.success(), "{}", text(&replaced));
    assert!(deployment.mc(&["cat", key]).stdout.is_empty());
    let listed = deployment.mc(&["ls", "--json", "--versions", key]);
    let versions: Vec<String> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|version| version["size"].as_u64().is_some_and(|size| size > 0))
        .map(|version| version["versionId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(versions.len(), 1, "{}", text(&listed));
    let kept = deployment.mc(&["cat", "--version-id", &versions[0], key]);
    assert_eq!(kept.stdout, original, "{}", text(&kept));
}

#[test]
fn archiver_credential_reads_the_backup_bucket_and_cannot_write_it() {
    let Some(deployment) = Deployment::create() else {
        return;
    };
    let object = deployment.folder.path().join("object");
    std::fs::write(&object, "copy").unwrap();
    let at = format!("a/{}/key", deployment.backup);
    let put = deployment.mc(&["cp", object.to_str().unwrap(), &at]);
    assert!(!put.status.success(), "{}", text(&put));
    let listed = deployment.mc(&["ls", &format!("a/{}", deployment.backup)]);
    assert!(listed.status.success(), "{}", text(&listed));
    // The script can run again, as it does at each start of the deployment.
    deployment.run_script();
}

#[test]
fn aws_policy_allows_conditional_puts_only_and_denies_deletes() {
    let policy = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/aws/archive-policy.json"
    ))
    .unwrap();
    let policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let with = |action: &str| -> Vec<&serde_json::Value> {
        let names = |statement: &serde_json::Value| match &statement["Action"] {
            serde_json::Value::String(one) => vec![one.clone()],
            many => serde_json::from_value(many.clone()).unwrap(),
        };
        let mut found = statements.iter().collect::<Vec<_>>();
        found.retain(|statement| names(statement).iter().any(|name| name == action));
        found
    };
    let puts = with("s3:PutObject");
    assert_eq!(puts.len(), 1);
    assert_eq!(puts[0]["Condition"]["Null"]["s3:if-none-match"], "false");
    for action in ["s3:DeleteObject", "s3:DeleteObjectVersion"] {
        let of = with(action);
        assert!(of.len() == 1 && of[0]["Effect"] == "Deny", "{action}");
    }
}
