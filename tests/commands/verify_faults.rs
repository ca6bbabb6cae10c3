//! `verify` on a store that fails: a failure is no defect, and no proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use archive_ingest::catalogue::{self, Catalogue, Row};
use archive_ingest::store::{self, Store, StoreError};
use archive_ingest::verify::{Checked, Defect, Kind, Verifier, VerifyError};
use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::archive::Archive;
use crate::store_around::{Around, Call, StoreAround};

/// First answers to [`Store::head`] or [`Store::list`] that are wrong.
struct Faulty {
    left: AtomicU32,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Nothing fails; calls are counted down.
    Counting,
    /// After the calls that are left, HEAD is refused.
    HeadIsRefusedLater,
    /// After the calls that are left, listing is refused.
    ListIsRefusedLater,
    HeadFindsNothing,
    HeadIsAway,
    HeadIsRefused,
    ListIsRefused,
    ListFolderIsRefused,
}

impl Faulty {
    /// Whether the calls that were to go well are over.
    fn is_later(&self, fault: Fault) -> bool {
        let counts = [Fault::Counting, fault].contains(&self.fault);
        let count = |left: u32| left.checked_sub(1);
        let update = || {
            self.left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count)
        };
        counts && update().is_err() && self.fault == fault
    }

    fn strikes(&self, faults: &[Fault]) -> bool {
        let count = |left: u32| left.checked_sub(1);
        faults.contains(&self.fault)
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count)
                .is_ok()
    }

    fn strikes_head(&self) -> bool {
        use Fault::{HeadFindsNothing, HeadIsAway, HeadIsRefused, HeadIsRefusedLater};
        self.is_later(HeadIsRefusedLater)
            || self.strikes(&[HeadFindsNothing, HeadIsAway, HeadIsRefused])
    }

    fn strikes_list(&self) -> bool {
        let later = Fault::ListIsRefusedLater;
        self.fault == later && self.is_later(later) || self.strikes(&[Fault::ListIsRefused])
    }
}

#[async_trait]
impl Around for Faulty {
    async fn before(&self, store: &dyn Store, call: Call<'_>) -> Result<(), StoreError> {
        let (is_struck, key) = match call {
            Call::Head { key } => (self.strikes_head(), key),
            Call::List => (self.strikes_list(), ""),
            Call::ListFolder => (self.strikes(&[Fault::ListFolderIsRefused]), ""),
            Call::Get { key, .. } => (false, key),
        };
        if !is_struck {
            return Ok(());
        }
        let (store, key) = (store.name().to_owned(), key.to_owned());
        let cause = "on purpose".to_owned();
        Err(match self.fault {
            Fault::HeadFindsNothing => StoreError::NotFound { store, key },
            Fault::HeadIsAway => StoreError::Unavailable { store, cause },
            _ => StoreError::Refused { store, cause },
        })
    }
}

/// What `verify` finds where the store's first `times` answers are wrong.
fn verify_with(fault: Fault, times: u32) -> (Result<Checked, VerifyError>, Vec<Defect>) {
    let archive = Archive::known();
    let config = archive.config();
    let catalogue = catalogue::open(&config.database().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = StoreAround {
            store: store::open(&config.store().unwrap()).unwrap(),
            around: Faulty {
                left: AtomicU32::new(times),
                fault,
            },
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
    let (checked, defects) = verify_with(Fault::HeadIsRefused, u32::MAX);
    assert!(checked.is_err());
    assert_eq!(defects, []);
}

#[test]
fn a_refusal_that_passes_is_no_defect() {
    let (checked, defects) = verify_with(Fault::HeadIsRefused, 1);
    assert_eq!(checked.unwrap().messages, 35);
    assert_eq!(defects, []);
}

#[test]
fn a_listing_that_fails_is_not_an_empty_store() {
    for fault in [Fault::ListIsRefused, Fault::ListFolderIsRefused] {
        let (checked, _) = verify_with(fault, 1);
        assert!(checked.is_err(), "{fault:?}");
    }
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

/// Messages of the archives that are larger than a page.
const MANY: usize = 2_500;

/// An archive of many messages, of which one has no object.
fn large() -> (Archive, Arc<dyn Catalogue>) {
    let archive = Archive::none();
    let config = archive.config();
    let catalogue: Arc<dyn Catalogue> =
        Arc::from(catalogue::open(&config.database().unwrap()).unwrap());
    catalogue.migrate().unwrap();
    let rows: Vec<Row> = (0..MANY).map(row).collect();
    assert_eq!(catalogue.upkeep().adopt(&rows).unwrap().len(), MANY);
    for row in &rows[1..] {
        let path = archive.object(&row.key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "object").unwrap();
    }
    (archive, catalogue)
}

pub fn row(number: usize) -> Row {
    let uuid = Uuid::from_u128(number as u128);
    Row {
        topic: "t".into(),
        timestamp: number as i64,
        uuid,
        size: 6,
        key: format!("t/1970/1/1/{uuid}.bson"),
        bucket: "archive".to_owned(),
        crc32: 0,
        is_client_uuid: false,
        public: false,
        direct_upload: false,
        message_crc32: 0,
        title: String::new(),
        sender: String::new(),
        media_type: String::new(),
        file_name: String::new(),
        originator: String::new(),
        retracted: false,
        origin: None,
        object_offset: None,
        signature: None,
    }
}

/// A verification of the same, on a store that has so many calls left.
fn verify_part(
    (archive, catalogue): &(Archive, Arc<dyn Catalogue>),
    fault: Fault,
    left: u32,
    asked: &str,
) -> (Result<Checked, VerifyError>, u32) {
    let config = archive.config();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Arc::new(StoreAround {
        store: store::open(&config.store().unwrap()).unwrap(),
        around: Faulty {
            left: AtomicU32::new(left),
            fault,
        },
    });
    let checked = runtime.block_on(async {
        let verifier = Verifier {
            asked: Some(asked.to_owned()),
            resume: true,
            save_every: Duration::ZERO,
            ..Verifier::new(catalogue.clone(), store.clone())
        };
        let (tell, mut told) = mpsc::channel(10_000);
        let checked = verifier.run(tell).await;
        while told.recv().await.is_some() {}
        checked
    });
    (
        checked,
        left.wrapping_sub(store.around.left.load(Ordering::SeqCst)),
    )
}

#[test]
fn a_verify_that_was_stopped_goes_on_after_the_rows_that_it_had_done() {
    let large = large();
    let (stopped, _) = verify_part(&large, Fault::HeadIsRefusedLater, 1_500, "");
    assert!(stopped.is_err());
    // Another verification is not this one.
    let (other, heads) = verify_part(&large, Fault::Counting, u32::MAX, "--topic t");
    assert_eq!(other.unwrap().resumed_from, None);
    assert!(heads as usize >= MANY, "{heads}");

    let (checked, heads) = verify_part(&large, Fault::Counting, u32::MAX, "");
    let checked = checked.unwrap();
    assert!((1_500..2_000).contains(&heads), "{heads}");
    assert_eq!(checked.messages, MANY as u64);
    // It was found before it was stopped.
    assert_eq!(checked.defects["missing_object"], 1);
    assert!(checked.resumed_from.is_some());

    let (again, heads) = verify_part(&large, Fault::Counting, u32::MAX, "");
    assert_eq!(again.unwrap().resumed_from, None);
    assert!(heads as usize >= MANY, "{heads}");
}

#[test]
fn a_verify_that_was_stopped_goes_on_after_the_objects_that_it_had_done() {
    let large = large();
    let stray = large.0.object("t/zzz/stray.txt");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(stray, "mine").unwrap();
    let (stopped, _) = verify_part(&large, Fault::ListIsRefusedLater, 2, "");
    assert!(stopped.is_err());
    let (checked, heads) = verify_part(&large, Fault::Counting, u32::MAX, "");
    let checked = checked.unwrap();
    assert_eq!(heads, 0, "no row is looked at again");
    assert_eq!(checked.messages, MANY as u64);
    let objects = checked.backwards.unwrap().objects;
    assert_eq!(objects, MANY as u64);
    assert_eq!(checked.defects["foreign_object"], 1);
    assert_eq!(checked.defects["missing_object"], 1);
}
