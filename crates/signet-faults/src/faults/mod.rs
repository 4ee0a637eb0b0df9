//! The scenarios, one kind of fault a file.

mod cuts;
mod kills;

use crate::Scenario;

/// `(name, what is done, function)`, the function being `async fn(&Run) -> Findings`.
macro_rules! scenarios {
    ($(($name:literal, $fault:literal, $run:path),)*) => {
        &[$(Scenario { name: $name, fault: $fault, run: |run| Box::pin($run(run)) },)*]
    };
}

/// All of them, in the order in which they are run.
pub const ALL: &[Scenario] = scenarios![
    ("kill-postgres", "`kill -9` of the server and of PostgreSQL under 8 to 64 writers", kills::on_postgres),
    ("kill-sqlite", "`kill -9` of the server under 8 to 64 writers, on SQLite", kills::on_sqlite),
    ("cut", "the connection to PostgreSQL cut at every byte of a registration", cuts::of_a_registration),
];
