//! One signal that everything which runs for long listens to.

use tokio::sync::watch;

/// Tells all [`Shutdown`]s of it to end.
pub struct Trigger(watch::Sender<bool>);

/// An argument of everything that runs until it is told to end.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A signal and what listens to it.
pub fn signal() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether it is time to end. A trigger that is gone can no longer say so,
    /// and nobody is left to run for.
    pub fn is_due(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when it is time to end.
    pub async fn due(&self) {
        let mut receiver = self.0.clone();
        // An error says that the trigger is gone: due as well.
        let _ = receiver.wait_for(|due| *due).await;
    }
}
