//! Whether a failure is the store's or one object's: the only place that
//! decides it.
//!
//! A failure that lasts belongs to the object if another object can be read
//! between two tries and after them. Otherwise it is the store's.

use std::sync::{Mutex, MutexGuard};

use super::{Location, ObjectInfo, Store, StoreError};
use crate::retry::patiently;

/// The calls that an object answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Get,
    Head,
}

/// Decides, with what is known of one store.
#[derive(Debug, Default)]
pub struct Health {
    /// Keys of the store's own bucket for which these calls have worked.
    get: Mutex<Option<String>>,
    head: Mutex<Option<String>>,
}

impl Health {
    /// As [`Store::get`], with retries. What fails for this object alone is
    /// [`StoreError::Unreadable`]; any other error but `NotFound` is the store's.
    pub async fn get(&self, store: &dyn Store, at: &Location) -> Result<Vec<u8>, StoreError> {
        let call = || store.get(at);
        self.judged(store, Operation::Get, &at.bucket, &at.key, call)
            .await
    }

    /// As [`Store::head`], judged as in [`Health::get`].
    pub async fn head(
        &self,
        store: &dyn Store,
        bucket: &str,
        key: &str,
    ) -> Result<ObjectInfo, StoreError> {
        let call = || store.head(bucket, key);
        self.judged(store, Operation::Head, bucket, key, call).await
    }

    async fn judged<T, F>(
        &self,
        store: &dyn Store,
        operation: Operation,
        bucket: &str,
        key: &str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut answer = patiently(&mut call, StoreError::is_passing).await;
        if let Err(error) = &answer
            && !error.is_of_one_object()
        {
            if !self.is_working(store, operation, bucket, key).await {
                return answer;
            }
            // It may have failed while the store was away.
            answer = call().await;
        }
        match answer {
            Ok(value) => {
                if bucket == store.bucket() {
                    self.known_good(operation)
                        .get_or_insert_with(|| key.to_owned());
                }
                Ok(value)
            }
            Err(error) if error.is_of_one_object() => Err(error),
            Err(error) if !self.is_working(store, operation, bucket, key).await => Err(error),
            Err(error) => Err(StoreError::Unreadable {
                store: store.name().to_owned(),
                key: key.to_owned(),
                cause: error.to_string(),
            }),
        }
    }

    /// Whether the store answers this call for another object than this one. If
    /// there is no other, or this one is in another bucket, which cannot be
    /// listed: whether the store works at all.
    pub async fn is_working(
        &self,
        store: &dyn Store,
        operation: Operation,
        bucket: &str,
        key: &str,
    ) -> bool {
        if store.check().await.is_err() {
            return false;
        }
        if bucket != store.bucket() {
            return true;
        }
        let known = self.known_good(operation).clone();
        if let Some(known) = known.filter(|known| known != key)
            && answers(store, operation, &known).await
        {
            return true;
        }
        // Beside it, first of all, and in a folder of which neither may be.
        let Ok(top) = store.list_folder("", None).await else {
            return false;
        };
        let beside = key.rfind('/').map_or("", |end| &key[..=end]);
        let prefixes = [
            Some(beside),
            Some(""),
            top.folders.last().map(String::as_str),
        ];
        let mut is_alone = true;
        for prefix in prefixes.into_iter().flatten() {
            let Ok(page) = store.list(prefix, None).await else {
                return false;
            };
            let mut others = page.objects;
            others.retain(|other| other.key != key && other.size > 0);
            let Some(last) = others.len().checked_sub(1) else {
                continue;
            };
            is_alone = false;
            for index in [0, last / 2, last] {
                let key = &others[index].key;
                if answers(store, operation, key).await {
                    *self.known_good(operation) = Some(key.clone());
                    return true;
                }
            }
        }
        is_alone
    }

    fn known_good(&self, operation: Operation) -> MutexGuard<'_, Option<String>> {
        let known = match operation {
            Operation::Get => &self.get,
            Operation::Head => &self.head,
        };
        // Only whole values are put in.
        known.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

/// Whether an object, which is not empty, can be read.
async fn answers(store: &dyn Store, operation: Operation, key: &str) -> bool {
    match operation {
        Operation::Head => store.head(store.bucket(), key).await.is_ok(),
        Operation::Get => {
            let first_byte = Location {
                bucket: store.bucket().to_owned(),
                key: key.to_owned(),
                range: Some(0..1),
            };
            store.get(&first_byte).await.is_ok()
        }
    }
}
