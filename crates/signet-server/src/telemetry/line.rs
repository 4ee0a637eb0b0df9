//! Every request has its line, so a line must be cheap: these have the form that `tracing-subscriber` gives them, at a
//! fraction of its cost.

use std::fmt::{self, Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::LogFormat;

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        match self {
            Self::Text => {
                SystemTime.format_time(&mut line)?;
                write!(line, " {:>5}", metadata.level().as_str())?;
            }
            Self::Json => {
                line.write_str("{\"timestamp\":\"")?;
                SystemTime.format_time(&mut line)?;
                line.write_str("\",\"level\":\"")?;
                line.write_str(metadata.level().as_str())?;
                line.write_char('"')?;
            }
        }
        let mut fields = Fields { format: *self, line: &mut line, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        match self {
            Self::Text => line.write_char('\n'),
            Self::Json => {
                line.write_str(",\"target\":\"")?;
                line.write_str(metadata.target())?;
                line.write_str("\"}\n")
            }
        }
    }
}

/// Writes the fields of an event, the message first as the macros put it.
struct Fields<'a, 'w> {
    format: LogFormat,
    line: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.name(field.name()).and_then(|()| value(self.line));
        }
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        match (self.format, name) {
            (LogFormat::Text, "message") => self.line.write_char(' '),
            (LogFormat::Text, _) => {
                self.line.write_char(' ')?;
                self.line.write_str(name)?;
                self.line.write_char('=')
            }
            (LogFormat::Json, _) => {
                self.line.write_str(",\"")?;
                self.line.write_str(name)?;
                self.line.write_str("\":")
            }
        }
    }

    fn is_bare(&self, field: &Field) -> bool {
        self.format == LogFormat::Text && field.name() == "message"
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |line| write!(line, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |line| write!(line, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |line| write!(line, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let quote = if self.is_bare(field) { "" } else { "\"" };
        self.write(field, |line| {
            line.write_str(quote)?;
            write!(Escaped { to: line }, "{value:?}")?;
            line.write_str(quote)
        });
    }
}

/// Text that goes on a line as one string of JSON ([RFC 8259, section 7](https://www.rfc-editor.org/rfc/rfc8259#section-7)):
/// nothing in it ends the line, or the string, or speaks to a terminal.
struct Escaped<'a, 'w> {
    to: &'a mut Writer<'w>,
}

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, found)) = rest.char_indices().find(|(_, char)| is_special(*char)) {
            self.to.write_str(&rest[..at])?;
            match found {
                '"' | '\\' => write!(self.to, "\\{found}")?,
                '\n' => self.to.write_str("\\n")?,
                _ => write!(self.to, "\\u{:04x}", u32::from(found))?,
            }
            rest = &rest[at + found.len_utf8()..];
        }
        self.to.write_str(rest)
    }
}

fn is_special(char: char) -> bool {
    char == '"' || char == '\\' || char.is_control()
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::{Value, json};
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic while writing").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer().event_format(format).with_writer(lines.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        String::from_utf8(lines.0.lock().expect("no panic while writing").clone()).expect("UTF-8")
    }

    fn log_one() {
        let id = Some("a-1");
        let none: Option<&str> = None;
        tracing::info!(id, none, shown = %"b c", count = 7_u64, less = -7, yes = true, error = ?io::ErrorKind::NotFound, "request");
    }

    #[test]
    fn a_line_of_text_is_for_people() {
        let line = logged(LogFormat::Text, log_one);
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.ends_with('Z') && time.len() == "2026-11-25T14:29:37.872881Z".len(), "{time}");
        assert_eq!(rest, " INFO request id=\"a-1\" shown=\"b c\" count=7 less=-7 yes=true error=\"NotFound\"\n");
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let line = logged(LogFormat::Json, log_one);
        let mut fields: Value = serde_json::from_str(&line).expect("JSON");
        let time = fields.as_object_mut().expect("an object").remove("timestamp");
        assert!(time.is_some_and(|time| time.as_str().is_some_and(|time| time.ends_with('Z'))));
        assert_eq!(
            fields,
            json!({"level": "INFO", "message": "request", "id": "a-1", "shown": "b c", "count": 7, "less": -7, "yes": true,
                   "error": "NotFound", "target": module_path!()})
        );
    }

    #[test]
    fn nothing_forges_a_line_or_reaches_a_terminal() {
        let nasty = "a\r\nb\t\"c\\d\u{1b}[31m\u{9b}31m\u{7f}é";
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = logged(format, || tracing::warn!(nasty, shown = %nasty, "{nasty}"));
            let whole = line.strip_suffix('\n').expect("its end");
            assert!(!whole.chars().any(char::is_control), "{line:?}");
            if format == LogFormat::Json {
                let fields: Value = serde_json::from_str(whole).expect("JSON");
                assert!(["nasty", "shown", "message"].iter().all(|name| fields[name] == nasty), "{line}");
            }
        }
    }
}
