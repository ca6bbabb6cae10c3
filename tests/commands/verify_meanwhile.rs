//! `verify` of an archive that goes on meanwhile.

use std::sync::Arc;

use archive_ingest::catalogue::{self, Catalogue, Row};
use archive_ingest::store::{self, Page, Store, StoreError};
use archive_ingest::verify::Verifier;
use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};

use crate::archive::Archive;
use crate::store_around::{Around, Call, StoreAround};
use crate::verify_faults::row;

/// The row of an object is committed after the object was listed, and before the
/// first object of any row is looked at.
struct Committing {
    catalogue: Arc<dyn Catalogue>,
    late: Row,
    /// Open when all is listed.
    is_listed: Semaphore,
}

#[async_trait]
impl Around for Committing {
    async fn before(&self, _store: &dyn Store, call: Call<'_>) -> Result<(), StoreError> {
        if let Call::Head { .. } = call {
            let _listed = self.is_listed.acquire().await;
            let upkeep = self.catalogue.upkeep();
            upkeep.adopt(std::slice::from_ref(&self.late)).unwrap();
        }
        Ok(())
    }

    fn listed(&self, page: &Page) {
        if page.next.is_none() {
            self.is_listed.add_permits(1);
        }
    }
}

#[test]
fn an_object_whose_row_comes_while_rows_are_looked_at_is_no_orphan() {
    let archive = Archive::none();
    let config = archive.config();
    let catalogue: Arc<dyn Catalogue> =
        Arc::from(catalogue::open(&config.database().unwrap()).unwrap());
    catalogue.migrate().unwrap();
    let (known, late) = (row(1), row(2));
    catalogue
        .upkeep()
        .adopt(std::slice::from_ref(&known))
        .unwrap();
    for row in [&known, &late] {
        let path = archive.object(&row.key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "object").unwrap();
    }
    let store = StoreAround {
        store: store::open(&config.store().unwrap()).unwrap(),
        around: Committing {
            catalogue: catalogue.clone(),
            late,
            is_listed: Semaphore::new(0),
        },
    };
    let verifier = Verifier {
        in_flight_ms: 0,
        ..Verifier::new(catalogue, Arc::new(store))
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (checked, told) = runtime.block_on(async {
        let (tell, mut told) = mpsc::channel(10);
        let checked = verifier.run(tell).await.unwrap();
        (checked, told.recv().await)
    });
    assert_eq!(checked.backwards.unwrap().objects, 2);
    assert!(told.is_none(), "{told:?}");
}
