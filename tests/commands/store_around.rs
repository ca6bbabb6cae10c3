//! A store with something around its calls.

use archive_ingest::store::{Location, ObjectInfo, Page, Put, Store, StoreError};
use async_trait::async_trait;

/// A call that something may be around.
pub enum Call<'a> {
    Get { bucket: &'a str, key: &'a str },
    Head { key: &'a str },
    List,
    ListFolder,
}

#[async_trait]
pub trait Around: Send + Sync {
    /// An error is the answer to the call.
    async fn before(&self, store: &dyn Store, call: Call<'_>) -> Result<(), StoreError>;

    /// After each page of a listing from its beginning.
    fn listed(&self, _page: &Page) {}
}

pub struct StoreAround<A> {
    pub store: Box<dyn Store>,
    pub around: A,
}

#[async_trait]
impl<A: Around> Store for StoreAround<A> {
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
        let (bucket, key) = (&at.bucket, &at.key);
        let call = Call::Get { bucket, key };
        self.around.before(&*self.store, call).await?;
        self.store.get(at).await
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        self.around.before(&*self.store, Call::Head { key }).await?;
        self.store.head(bucket, key).await
    }

    async fn list(&self, prefix: &str, page: Option<&str>) -> Result<Page, StoreError> {
        self.around.before(&*self.store, Call::List).await?;
        let page = self.store.list(prefix, page).await?;
        self.around.listed(&page);
        Ok(page)
    }

    async fn list_folder(&self, folder: &str, page: Option<&str>) -> Result<Page, StoreError> {
        self.around.before(&*self.store, Call::ListFolder).await?;
        self.store.list_folder(folder, page).await
    }
}
