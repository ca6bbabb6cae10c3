//! What carries a connection's messages, for as long as somebody waits for an
//! answer, which is never for ever.

use std::future::poll_fn;
use std::time::Duration;

use postgres_native_tls::MakeTlsConnector;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use super::error::Fault;

/// To say goodbye to the server.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection and the runtime that it lives on, which does nothing between
/// the calls.
pub struct Driver {
    runtime: Runtime,
    connection: JoinHandle<()>,
    hung: bool,
}

impl Driver {
    /// Connects within `patience`: from the name look-up to the end of the
    /// authentication.
    pub fn connect(
        config: &Config,
        tls: MakeTlsConnector,
        patience: Duration,
    ) -> Result<(Client, Self), Fault> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Fault::Unavailable(format!("no runtime to connect on: {error}")))?;
        let connected = runtime.block_on(async { timeout(patience, config.connect(tls)).await });
        let Ok(connected) = connected else {
            // A name look-up cannot be broken off.
            runtime.shutdown_background();
            return Err(Fault::NoAnswer(patience));
        };
        let (client, mut messages) = connected?;
        // What the server has to say beside its answers is for its own log.
        let connection = runtime.spawn(async move {
            while let Some(Ok(_)) = poll_fn(|context| messages.poll_message(context)).await {}
        });
        let driver = Self {
            runtime,
            connection,
            hung: false,
        };
        Ok((client, driver))
    }

    /// Waits for an answer. After [`Fault::NoAnswer`] the connection is of no
    /// use any more: the answer may still come.
    pub fn wait<T, E>(
        &mut self,
        patience: Duration,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Fault>
    where
        Fault: From<E>,
    {
        let answered = self
            .runtime
            .block_on(async { timeout(patience, answer).await });
        match answered {
            Ok(result) => Ok(result?),
            Err(_) => {
                self.hung = true;
                Err(Fault::NoAnswer(patience))
            }
        }
    }

    /// Whether an answer did not come in time.
    pub fn is_hung(&self) -> bool {
        self.hung
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.hung {
            let connection = &mut self.connection;
            // The server finds out by itself when this fails.
            let _ = self
                .runtime
                .block_on(async { timeout(GOODBYE, connection).await });
        }
    }
}
