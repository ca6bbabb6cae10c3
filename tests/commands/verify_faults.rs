//! `verify` on a store that fails: a failure is no defect, and no proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use archive_ingest::catalogue;
use archive_ingest::store::{self, Location, ObjectInfo, Page, Put, Store, StoreError};
use archive_ingest::verify::{Checked, Defect, Kind, Verifier, VerifyError};
use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::archive::Archive;

/// A store whose first answers to [`Store::head`] or [`Store::list`] are wrong.
struct Faulty {
    store: Box<dyn Store>,
    left: AtomicU32,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    HeadFindsNothing,
    HeadIsAway,
    HeadIsRefused,
    ListIsRefused,
}

impl Faulty {
    fn strikes(&self, faults: &[Fault]) -> bool {
        let count = |left: u32| left.checked_sub(1);
        faults.contains(&self.fault)
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count)
                .is_ok()
    }
}

#[async_trait]
impl Store for Faulty {
    fn bucket(&self) -> &str {
        self.store.bucket()
    }

    fn name(&self) -> &str {
        self.store.name()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    async fn put_new(&self, key: &str, body: Vec<u8>) -> Result<Put, StoreError> {
        self.store.put_new(key, body).await
    }

    async fn get(&self, at: &Location) -> Result<Vec<u8>, StoreError> {
        self.store.get(at).await
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        use Fault::{HeadFindsNothing, HeadIsAway, HeadIsRefused};
        if !self.strikes(&[HeadFindsNothing, HeadIsAway, HeadIsRefused]) {
            return self.store.head(bucket, key).await;
        }
        let (store, key) = (self.name().to_owned(), key.to_owned());
        let cause = "on purpose".to_owned();
        Err(match self.fault {
            HeadFindsNothing => StoreError::NotFound { store, key },
            HeadIsAway => StoreError::Unavailable { store, cause },
            _ => StoreError::Refused { store, cause },
        })
    }

    async fn list(&self, prefix: &str, page: Option<&str>) -> Result<Page, StoreError> {
        if !self.strikes(&[Fault::ListIsRefused]) {
            return self.store.list(prefix, page).await;
        }
        Err(StoreError::Refused {
            store: self.name().to_owned(),
            cause: "on purpose".to_owned(),
        })
    }

    async fn list_after(&self, prefix: &str, key: &str) -> Result<Page, StoreError> {
        self.store.list_after(prefix, key).await
    }
}

/// What `verify` finds where the store's first `times` answers are wrong.
fn verify_with(fault: Fault, times: u32) -> (Result<Checked, VerifyError>, Vec<Defect>) {
    let archive = Archive::known();
    let config = archive.config();
    let catalogue = catalogue::open(&config.database().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Faulty {
            store: store::open(&config.store().unwrap()).unwrap(),
            left: AtomicU32::new(times),
            fault,
        };
        let verifier = Verifier::new(Arc::from(catalogue), Arc::new(store));
        let (tell, mut told) = mpsc::channel(1_000);
        let checked = verifier.run(tell).await;
        let mut defects = vec![];
        while let Some(finding) = told.recv().await {
            defects.extend(finding.defects);
        }
        (checked, defects)
    })
}

#[test]
fn an_object_that_is_missing_only_once_is_no_defect() {
    let (checked, defects) = verify_with(Fault::HeadFindsNothing, 10);
    assert_eq!(checked.unwrap().messages, 35);
    assert_eq!(defects, []);
}

#[test]
fn a_failure_that_passes_is_waited_for() {
    let (checked, defects) = verify_with(Fault::HeadIsAway, 10);
    assert_eq!(checked.unwrap().messages, 35);
    assert_eq!(defects, []);
}

#[test]
fn a_failure_that_stays_ends_the_work_without_a_defect() {
    let (checked, defects) = verify_with(Fault::HeadIsRefused, 1);
    assert!(checked.is_err());
    assert_eq!(defects, []);
}

#[test]
fn a_listing_that_fails_is_not_an_empty_store() {
    let (checked, _) = verify_with(Fault::ListIsRefused, 1);
    assert!(checked.is_err());
}

#[test]
fn an_object_that_stays_missing_is_one_defect() {
    let (checked, defects) = verify_with(Fault::HeadFindsNothing, u32::MAX);
    assert_eq!(checked.unwrap().messages, 35);
    assert_eq!(defects.len(), 35);
    assert!(
        defects
            .iter()
            .all(|defect| defect.kind == Kind::MissingObject)
    );
}
