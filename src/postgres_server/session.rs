//! A connection, its prepared statements, and how long an answer may take.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::try_join_all;
use postgres_native_tls::MakeTlsConnector;
use refinery::Runner;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Portal, Row, Statement};

use super::driver::Driver;
use super::error::Fault;

/// A query over more rows than a batch has may take this long.
pub const LONG: Duration = Duration::from_secs(600);

/// The server breaks off what takes too long, and says so; one that says
/// nothing for so much longer is given up.
pub const MARGIN: Duration = Duration::from_secs(5);

/// A connection that prepares each statement once.
pub struct Session {
    // Dropped first, so that the driver has its goodbye to send.
    client: Client,
    prepared: HashMap<String, Statement>,
    driver: Driver,
    /// For one answer.
    patience: Duration,
}

/// A transaction of a session.
pub struct Transaction<'a> {
    inner: tokio_postgres::Transaction<'a>,
    driver: &'a mut Driver,
    patience: Duration,
}

/// The values of a statement's parameters.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement and the values of its parameters.
pub struct Question<'a> {
    statement: &'a Statement,
    params: Vec<&'a (dyn ToSql + Sync)>,
}

impl<'a> Question<'a> {
    pub fn new(
        statement: &'a Statement,
        params: impl IntoIterator<Item = &'a (dyn ToSql + Sync)>,
    ) -> Self {
        Self {
            statement,
            params: params.into_iter().collect(),
        }
    }
}

impl Session {
    /// `connecting` bounds the connection, `patience` each answer on it.
    pub fn connect(
        config: &Config,
        tls: MakeTlsConnector,
        connecting: Duration,
        patience: Duration,
    ) -> Result<Self, Fault> {
        let (client, driver) = Driver::connect(config, tls, connecting)?;
        Ok(Self {
            client,
            prepared: HashMap::new(),
            driver,
            patience,
        })
    }

    /// Statements without parameters and without an answer.
    pub fn batch_execute(&mut self, sql: &str) -> Result<(), Fault> {
        self.driver
            .wait(self.patience, self.client.batch_execute(sql))
    }

    /// One row of a statement that is asked once.
    pub fn query_one(&mut self, sql: &str, params: Params<'_>) -> Result<Row, Fault> {
        self.driver
            .wait(self.patience, self.client.query_one(sql, params))
    }

    pub fn prepare(&mut self, sql: &str) -> Result<Statement, Fault> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.driver.wait(self.patience, self.client.prepare(sql))?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// After this all statements are prepared anew.
    pub fn forget_statements(&mut self) {
        self.prepared.clear();
    }

    pub fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let statement = self.prepare(sql)?;
        self.driver
            .wait(self.patience, self.client.query(&statement, params))
    }

    pub fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64, Fault> {
        let statement = self.prepare(sql)?;
        self.driver
            .wait(self.patience, self.client.execute(&statement, params))
    }

    /// A query over more rows than a batch has, which may take 10 minutes.
    pub fn query_long(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let statement = self.prepare(sql)?;
        self.in_transaction(|transaction| {
            transaction.allow(LONG)?;
            transaction.query(&statement, params)
        })
    }

    /// Runs `work`, with statements that were prepared before, and commits it;
    /// on an error all of it is undone.
    pub fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let inner = self.driver.wait(self.patience, self.client.transaction())?;
        let mut transaction = Transaction {
            inner,
            driver: &mut self.driver,
            patience: self.patience,
        };
        let result = work(&mut transaction);
        let Transaction { inner, driver, .. } = transaction;
        match result {
            Ok(value) => {
                driver.wait(self.patience, inner.commit())?;
                Ok(value)
            }
            Err(fault) => {
                // At once, so that nobody waits for its locks.
                if !driver.is_hung() {
                    let _ = driver.wait(self.patience, inner.rollback());
                }
                Err(fault)
            }
        }
    }

    /// Runs migrations, which take as long as they need.
    pub fn migrate(&mut self, runner: &Runner) -> Result<(), Fault> {
        self.driver
            .wait(Duration::MAX, runner.run_async(&mut self.client))
            .map(drop)
    }

    /// Whether the server answers, within `patience`.
    pub fn ping(&mut self, patience: Duration) -> Result<(), Fault> {
        self.driver
            .wait(patience, self.client.simple_query(""))
            .map(drop)
    }

    /// Whether it can be used no more.
    pub fn is_broken(&self) -> bool {
        self.driver.is_hung() || self.client.is_closed()
    }
}

impl Transaction<'_> {
    /// Its statements may take so long from now on.
    pub fn allow(&mut self, time: Duration) -> Result<(), Fault> {
        let sql = format!("SET LOCAL statement_timeout = '{}s'", time.as_secs());
        self.batch_execute(&sql)?;
        self.patience = time + MARGIN;
        Ok(())
    }

    /// Statements without parameters and without an answer.
    pub fn batch_execute(&mut self, sql: &str) -> Result<(), Fault> {
        self.driver
            .wait(self.patience, self.inner.batch_execute(sql))
    }

    /// It may stand still between two statements for as long as it likes: for
    /// one that only reads, and so holds nobody up.
    pub fn allow_standing(&mut self) -> Result<(), Fault> {
        self.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    }

    pub fn query(&mut self, statement: &Statement, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        self.driver
            .wait(self.patience, self.inner.query(statement, params))
    }

    /// The rows of each statement. They are sent together and carried out one after
    /// the other, so that all of them take one round trip.
    pub fn query_all(&mut self, questions: &[Question<'_>]) -> Result<Vec<Vec<Row>>, Fault> {
        let patience = self.patience.saturating_mul(questions.len() as u32);
        // Sent when they are polled for the first time, which is in this order.
        let answers = questions
            .iter()
            .map(|question| self.inner.query(question.statement, &question.params));
        self.driver.wait(patience, try_join_all(answers))
    }

    /// One row of a statement that always has one.
    pub fn query_one(&mut self, statement: &Statement, params: Params<'_>) -> Result<Row, Fault> {
        self.driver
            .wait(self.patience, self.inner.query_one(statement, params))
    }

    /// A query whose rows are asked for in pieces, with [`Transaction::piece`].
    pub fn bind(&mut self, statement: &Statement, params: Params<'_>) -> Result<Portal, Fault> {
        self.driver
            .wait(self.patience, self.inner.bind(statement, params))
    }

    /// The next `rows` rows at most, each handed over as it comes; `take` says
    /// whether it wants more of them.
    pub fn piece(
        &mut self,
        portal: &Portal,
        rows: i32,
        mut take: impl FnMut(&Row) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let inner = &self.inner;
        self.driver.wait(self.patience, async {
            let mut coming = pin!(inner.query_portal_raw(portal, rows).await?);
            while let Some(row) = coming.try_next().await? {
                if !take(&row)? {
                    break;
                }
            }
            Ok::<(), Fault>(())
        })
    }

    pub fn execute(&mut self, statement: &Statement, params: Params<'_>) -> Result<u64, Fault> {
        self.driver
            .wait(self.patience, self.inner.execute(statement, params))
    }
}
