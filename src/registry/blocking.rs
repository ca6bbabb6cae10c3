//! A registry for threads that may wait.

use tokio::runtime::{Builder, Runtime};

use super::client::Registry;
use super::decode::{Decoded, NotDecoded};
use super::error::RegistryError;
use crate::config::RegistryConfig;
use crate::retry::patiently;

/// Its calls block, each at most as long as a request may take; they must not
/// be made on a thread of an async runtime.
pub struct BlockingRegistry {
    registry: Registry,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl BlockingRegistry {
    /// Connects to nothing yet.
    pub fn open(config: &RegistryConfig) -> Result<Self, RegistryError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            registry: Registry::open(config)?,
            runtime: Some(runtime.map_err(|error| RegistryError::Settings {
                url: config.urls.join(","),
                cause: format!("no requests can be made: {error}"),
            })?),
        })
    }

    pub fn name(&self) -> &str {
        self.registry.name()
    }

    /// [`Registry::register`], tried again while it may help.
    pub fn register_patiently(
        &self,
        subject: &str,
        definition: &str,
    ) -> Result<u32, RegistryError> {
        self.wait(patiently(
            || self.registry.register(subject, definition),
            RegistryError::is_passing,
        ))
    }

    /// [`Registry::register`].
    pub fn register(&self, subject: &str, definition: &str) -> Result<u32, RegistryError> {
        self.wait(self.registry.register(subject, definition))
    }

    /// [`Registry::decode_for`], tried again while it may help.
    pub fn decode_for(
        &self,
        message: &[u8],
        reader: Option<&str>,
    ) -> Option<Result<Decoded, NotDecoded>> {
        let decode = || async {
            let decoded = self.registry.decode_for(message, reader).await;
            decoded.transpose()
        };
        self.wait(patiently(decode, NotDecoded::is_passing))
            .transpose()
    }

    fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        match &self.runtime {
            Some(runtime) => runtime.block_on(request),
            None => futures::executor::block_on(request),
        }
    }
}

impl Drop for BlockingRegistry {
    fn drop(&mut self) {
        // An ordinary drop may not happen on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
