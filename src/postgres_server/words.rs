//! What messages call the settings of a connection.

/// The settings' names as whoever configured the connection wrote them, and
/// what a wrong schema is called: messages tell what to correct.
#[derive(Debug)]
pub struct Words {
    pub host: &'static str,
    pub port: &'static str,
    pub name: &'static str,
    pub username: &'static str,
    pub password: &'static str,
    pub sslmode: &'static str,
    pub sslrootcert: &'static str,
    pub pool_size: &'static str,
    /// As in "its schema is not the archive's".
    pub wrong_schema: &'static str,
    /// What to do about it.
    pub schema_remedy: &'static str,
}
