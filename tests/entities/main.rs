//! What every source of entities promises, on the demo kernel's SQLite file and
//! on PostgreSQL, there with a database that orders text as bytes and with one
//! that orders it as a language does.
//!
//! PostgreSQL is the server that TEST_PG_HOST, TEST_PG_PORT, TEST_PG_USER,
//! TEST_PG_PASSWORD and TEST_PG_DB name, TEST_PG_SUPERUSER and
//! TEST_PG_SUPERPASSWORD for what needs one; every test has a database of its own.

/// Makes a test of each function for each kind of kernel.
macro_rules! on_every_kernel {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $promise() { super::$promise(&crate::kernel::Kernel::demo()); })*
        }
        mod on_postgres {
            $(#[test] fn $promise() {
                if let Some(kernel) = crate::kernel::Kernel::postgres() {
                    super::$promise(&kernel);
                }
            })*
        }
        mod on_postgres_ordered_as_a_language {
            $(#[test] fn $promise() {
                if let Some(kernel) = crate::kernel::Kernel::postgres_of_a_language() {
                    super::$promise(&kernel);
                }
            })*
        }
    };
}

mod kernel;
#[path = "../catalogue_contract/place.rs"]
#[allow(dead_code)]
mod place;

mod bounds;
mod demo;
mod locks;
mod pages;
mod postgres_check;
mod postgres_connections;
mod postgres_index;
mod postgres_transactions;
mod ranges;
mod registry;
mod standby;
mod writers;
