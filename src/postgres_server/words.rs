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

impl Words {
    /// Those of a stanza of `-D`; the rest is what its room makes of it.
    pub const fn of_database_stanza(
        wrong_schema: &'static str,
        schema_remedy: &'static str,
    ) -> Self {
        Self {
            host: "db-host",
            port: "db-port",
            name: "db-name",
            username: "db-username",
            password: "DB_PASSWORD",
            sslmode: "db-sslmode",
            sslrootcert: "db-sslrootcert",
            pool_size: "db-pool-size",
            wrong_schema,
            schema_remedy,
        }
    }
}
