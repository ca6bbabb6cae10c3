//! One object that cannot be read is that object's defect; everything else goes
//! on. A store that is away is no defect at all.

use std::sync::Arc;

use archive_ingest::catalogue;
use archive_ingest::store::{self, Store, StoreError};
use archive_ingest::verify::{
    Checked, Finding, Kind, Mending, Progress, Rebuild, Rebuilt, Verifier, VerifyError,
};
use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::archive::Archive;
use crate::store_around::{Around, Call, StoreAround};

/// How reading an object fails, for as long as it is tried.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A sector of a disk (EIO), or a lasting 500.
    Fails,
    /// 403: a KMS key, or the object's ACL.
    Refused,
}

/// Objects of the primary bucket that cannot be read; `None`: none of them can.
struct Unreadable {
    key: Option<String>,
    fault: Fault,
}

#[async_trait]
impl Around for Unreadable {
    async fn before(&self, store: &dyn Store, call: Call<'_>) -> Result<(), StoreError> {
        let Call::Get { bucket, key } = call else {
            return Ok(());
        };
        if bucket != store.bucket() {
            return Ok(());
        }
        if self
            .key
            .as_ref()
            .is_some_and(|unreadable| unreadable != key)
        {
            return Ok(());
        }
        let store = store.name().to_owned();
        let cause = "on purpose".to_owned();
        Err(match self.fault {
            Fault::Fails => StoreError::Unavailable { store, cause },
            Fault::Refused => StoreError::Refused { store, cause },
        })
    }
}

fn store(archive: &Archive, key: Option<&str>, fault: Fault) -> Arc<dyn Store> {
    Arc::new(StoreAround {
        store: store::open(&archive.config().store().unwrap()).unwrap(),
        around: Unreadable {
            key: key.map(str::to_owned),
            fault,
        },
    })
}

fn verify(
    archive: &Archive,
    store: Arc<dyn Store>,
    mending: Option<Mending>,
) -> (Result<Checked, VerifyError>, Vec<Finding>) {
    let catalogue = catalogue::open(&archive.config().database().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let verifier = Verifier {
            deep: true,
            in_flight_ms: 0,
            mending,
            ..Verifier::new(Arc::from(catalogue), store)
        };
        let (tell, mut told) = mpsc::channel(1_000);
        let checked = verifier.run(tell).await;
        let mut findings = vec![];
        while let Some(finding) = told.recv().await {
            findings.push(finding);
        }
        (checked, findings)
    })
}

fn kinds(findings: &[Finding]) -> Vec<&'static str> {
    let defects = findings.iter().flat_map(|finding| &finding.defects);
    defects.map(|defect| defect.kind.name()).collect()
}

fn one_object_is_reported_and_repaired_from_the_backup(fault: Fault) {
    let archive = Archive::known();
    let (uuid, key) = archive.text_message();
    let (checked, findings) = verify(&archive, store(&archive, Some(&key), fault), None);
    assert_eq!(checked.unwrap().messages, 35);
    assert_eq!(kinds(&findings), ["unreadable_object"]);
    assert_eq!(findings[0].defects[0].key.as_ref(), Some(&key));
    let Kind::UnreadableObject { cause } = &findings[0].defects[0].kind else {
        unreachable!();
    };
    assert!(cause.contains("on purpose"), "{cause}");

    let copy = archive.path("archive/store/copies").join(&key);
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    std::fs::copy(archive.object(&key), copy).unwrap();
    let mending = Mending {
        dry_run: false,
        backup_bucket: Some("copies".to_owned()),
        stream: None,
        adopt_orphans: false,
        is_public: Arc::new(|_| false),
    };
    // The copy has the same key, in another bucket that can be read.
    let readable_copies = store(&archive, Some(&key), fault);
    let (checked, findings) = verify(&archive, readable_copies, Some(mending));
    let repairs: Vec<_> = findings
        .iter()
        .filter_map(|of| of.repair.as_ref())
        .collect();
    assert_eq!(checked.unwrap().mended, 1, "{findings:?}");
    assert_eq!(repairs[0].uuid.unwrap().to_string(), uuid);
    let (checked, findings) = verify(&archive, store(&archive, Some(&key), fault), None);
    assert_eq!((checked.unwrap().messages, kinds(&findings)), (35, vec![]));
}

#[test]
fn one_object_that_fails_is_reported_and_repaired_from_the_backup() {
    one_object_is_reported_and_repaired_from_the_backup(Fault::Fails);
}

#[test]
fn one_object_that_is_refused_is_reported_and_repaired_from_the_backup() {
    one_object_is_reported_and_repaired_from_the_backup(Fault::Refused);
}

#[test]
fn a_store_that_refuses_every_object_is_an_error_and_no_defect() {
    let archive = Archive::known();
    let (checked, findings) = verify(&archive, store(&archive, None, Fault::Refused), None);
    assert!(checked.is_err());
    assert_eq!(kinds(&findings), [""; 0]);
}

#[test]
fn a_rebuild_reports_an_object_that_cannot_be_read_and_goes_on() {
    let archive = Archive::known();
    let (_, key) = archive.text_message();
    archive.sql("DELETE FROM messages");
    let catalogue = catalogue::open(&archive.config().database().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (rebuilt, findings): (Rebuilt, Vec<Finding>) = runtime.block_on(async {
        let rebuild = Rebuild {
            catalogue: Arc::from(catalogue),
            store: store(&archive, Some(&key), Fault::Refused),
            shard: None,
            from_start: false,
            progress: Arc::new(Progress::default()),
            keys: None,
            is_public: Arc::new(|_| false),
        };
        let (tell, mut told) = mpsc::channel(1_000);
        let rebuilt = rebuild.run(tell).await.unwrap();
        let mut findings = vec![];
        while let Some(finding) = told.recv().await {
            findings.push(finding);
        }
        (rebuilt, findings)
    });
    assert_eq!((rebuilt.added, rebuilt.defects), (34, 1));
    assert_eq!(kinds(&findings), ["unreadable_object"]);
}
