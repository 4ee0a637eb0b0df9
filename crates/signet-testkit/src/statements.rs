use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    thread,
};

use crate::unkeyed;

/// What the stores of a test program were seen to begin, each statement once; and what is demanded of it: that it keys
/// each of the tables, or is one of the exceptions.
#[derive(Debug)]
pub struct Statements {
    tables: &'static [&'static str],
    key: &'static str,
    exceptions: &'static [(&'static str, &'static str)],
    seen: Mutex<BTreeSet<String>>,
}

impl Statements {
    /// None yet. An exception is how a statement ends, from before the first table that it does not key, and why it may.
    #[must_use]
    pub const fn new(
        tables: &'static [&'static str],
        key: &'static str,
        exceptions: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { tables, key, exceptions, seen: Mutex::new(BTreeSet::new()) }
    }

    /// Notes a statement, without the quotes around its names.
    pub fn note(&self, statement: &str) {
        let statement = statement.replace(['"', '`'], "");
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(statement);
    }

    /// All of them.
    #[must_use]
    pub fn seen(&self) -> BTreeSet<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those that are neither keyed nor excepted.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.seen().into_iter().filter(|statement| !self.allows(statement)).collect()
    }

    /// The exceptions that nothing needs, with their reasons.
    #[must_use]
    pub fn unneeded(&self) -> Vec<(&'static str, &'static str)> {
        let seen = self.seen();
        let is_unneeded = |(end, _reason): &&(&str, &str)| !seen.iter().any(|statement| statement.ends_with(end));
        self.exceptions.iter().filter(is_unneeded).copied().collect()
    }

    /// Panics once what this returns is dropped, where a statement was refused by then.
    #[must_use]
    pub fn watch(&'static self) -> Watch {
        Watch(self)
    }

    fn allows(&self, statement: &str) -> bool {
        let unkeyed = unkeyed(statement, self.tables, self.key);
        let excepts =
            |(end, _reason): &(&str, &str)| statement.ends_with(end) && unkeyed.iter().all(|table| end.contains(table));
        unkeyed.is_empty() || self.exceptions.iter().any(excepts)
    }
}

/// Has a test fail that ends after a statement was refused, whichever test it was that began it.
#[derive(Debug)]
pub struct Watch(&'static Statements);

impl Drop for Watch {
    fn drop(&mut self) {
        let refused = self.0.refused();
        assert!(refused.is_empty() || thread::panicking(), "neither keyed nor excepted: {refused:#?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static STATEMENTS: Statements =
        Statements::new(&["users"], "id", &[("FROM users ORDER BY name", "all"), ("FROM nowhere", "unneeded")]);

    #[test]
    fn what_is_neither_keyed_nor_excepted_is_refused() {
        for statement in [
            r#"SELECT "name" FROM "users" WHERE "id" = $1"#,
            "SELECT name FROM users ORDER BY name",
            "DELETE FROM users",
            "SELECT name FROM users WHERE name IN (SELECT name FROM users) ORDER BY name",
        ] {
            STATEMENTS.note(statement);
        }
        let refused =
            ["DELETE FROM users", "SELECT name FROM users WHERE name IN (SELECT name FROM users) ORDER BY name"];
        assert_eq!(STATEMENTS.refused(), refused);
        assert_eq!(STATEMENTS.unneeded(), [("FROM nowhere", "unneeded")]);
        std::panic::catch_unwind(|| drop(STATEMENTS.watch())).expect_err("it tells");
    }
}
