//! What a command tells on stdout.

use std::io::{self, Write};

use serde_json::{Map, Value};
use signet_domain::Timestamp;

use crate::error::Failure;

/// One line, or several.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    part(&format!("{text}\n"))
}

/// A part of a line.
pub(super) fn part(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::runtime("cannot write to stdout", error))
}

/// One JSON object on one line, without the fields that are null: a field that is absent says so.
pub(super) fn json(object: Value) -> Result<(), Failure> {
    line(&without_nulls(object).to_string())
}

/// The object without the fields that are null.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        value => value,
    }
}

/// Columns as wide as what is in them.
pub(super) fn table<const COLUMNS: usize>(
    heads: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> Result<(), Failure> {
    line(&render(heads, rows))
}

fn render<const COLUMNS: usize>(heads: [&str; COLUMNS], rows: impl IntoIterator<Item = [String; COLUMNS]>) -> String {
    let rows: Vec<_> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let lines = rows.iter().map(|row| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text without what ends a line, or what a terminal obeys: it may quote an argument that somebody else wrote.
pub(super) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { line.extend(char.escape_default()) } else { line.push(char) }
    }
    line
}

/// A time, or a dash where there is none.
pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [["1".to_owned(), "José".to_owned()], ["200".to_owned(), "-".to_owned()]];
        assert_eq!(render(["ID", "NAME"], rows), "ID   NAME\n1    José\n200  -");
    }

    #[test]
    fn a_line_is_one_line_and_speaks_to_no_terminal() {
        assert_eq!(on_one_line("no \"--a\r\nb\u{1b}[31m\u{9b}é\""), "no \"--a\\r\\nb\\u{1b}[31m\\u{9b}é\"");
    }

    #[test]
    fn what_is_not_there_is_not_in_the_json() {
        let value = json!({"keys": [{"id": 1, "expiresAt": null}], "revokedAt": null});
        assert_eq!(without_nulls(value), json!({"keys": [{"id": 1}]}));
    }
}
