//! What an error of a database means to the caller, whichever database it is.

/// Why a database did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be reached, is locked, failed, or gave up a transaction: the
    /// same call may succeed later.
    #[error("{database}: {cause}")]
    Unavailable { database: String, cause: String },
    /// Address, credentials, permissions, schema or content are wrong. No retry
    /// helps.
    #[error("{database}: {cause}")]
    Refused { database: String, cause: String },
}
