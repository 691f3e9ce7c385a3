//! The log as JSON, one object a line.
//!
//! In the shape of tracing-subscriber's own JSON format, which keeps a span's fields as text, and reads and writes
//! that text anew for each further field and each event: some seven times the work of the request that is logged.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use appserver_domain::clock::{Clock, Stamp};

/// Writes an event as one line: its time, level, fields and target, and the spans around it from the outermost on.
pub(super) struct JsonLine;

/// Writes the fields of a span or an event as members of a JSON object, each with a comma before it.
pub(super) struct JsonMembers;

impl<S> FormatEvent<S, JsonMembers> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonMembers>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(r#"{"timestamp":""#)?;
        let now = Clock::system().now();
        writer.write_str(Stamp::of(now).as_str().trim_end_matches('Z'))?;
        write!(writer, ".{:06}Z", now.timestamp_subsec_micros())?;
        writer.write_str(r#"","level":""#)?;
        writer.write_str(event.metadata().level().as_str())?;
        writer.write_char('"')?;
        context.format_fields(writer.by_ref(), event)?;
        writer.write_str(r#","target":"#)?;
        write_text(&mut writer, event.metadata().target())?;
        let mut separator = r#","spans":["#;
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            writer.write_str(separator)?;
            writer.write_str(r#"{"name":"#)?;
            write_text(&mut writer, span.name())?;
            if let Some(members) = span.extensions().get::<FormattedFields<JsonMembers>>() {
                writer.write_str(members)?;
            }
            writer.write_char('}')?;
            separator = ",";
        }
        writer.write_str(if separator == "," { "]}\n" } else { "}\n" })
    }
}

impl<'writer> FormatFields<'writer> for JsonMembers {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut members = Members { writer, written: Ok(()) };
        fields.record(&mut members);
        members.written
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

struct Members<'a> {
    writer: Writer<'a>,
    /// The first thing that went wrong: a visit cannot end early.
    written: fmt::Result,
}

impl Members<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.named(field).and_then(|()| value(&mut self.writer));
        }
    }

    fn named(&mut self, field: &Field) -> fmt::Result {
        // Our own fields are named in the code, with nothing to escape.
        self.writer.write_str(",\"")?;
        self.writer.write_str(field.name())?;
        self.writer.write_str("\":")
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |writer| {
            writer.write_char('"')?;
            write!(Escaping(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer| write_text(writer, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| writer.write_str(if value { "true" } else { "false" }));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no finite number.
        self.write(field, |writer| {
            if value.is_finite() { write!(writer, "{value}") } else { writer.write_str("null") }
        });
    }
}

fn write_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaping(writer).write_str(text)?;
    writer.write_char('"')
}

/// Writes text as it stands between the quotes of a JSON string.
struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let escaped = |b: u8| b < b' ' || b == b'"' || b == b'\\';
        let mut rest = text;
        // All bytes at once first: that is a few vector instructions, and nearly no text has any to escape.
        while rest.bytes().fold(false, |any, b| any | escaped(b))
            && let Some(at) = rest.bytes().position(escaped)
        {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                quoted @ (b'"' | b'\\') => {
                    self.0.write_char('\\')?;
                    self.0.write_char(quoted.into())?;
                }
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The one line that `log` writes, its time taken out of it.
    fn line(log: impl FnOnce()) -> Value {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonMembers)
            .event_format(JsonLine)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(time.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().is_ok(), "{time}");
        line
    }

    #[test]
    fn an_event_outside_of_spans_is_one_object() {
        let got = line(|| tracing::warn!(n = -1, x = 0.5, nan = f64::NAN, on = true, "odd: {}", 7));
        let expected = json!({
            "level": "WARN", "n": -1, "x": 0.5, "nan": null, "on": true, "message": "odd: 7",
            "target": module_path!(),
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn a_span_is_told_with_what_was_recorded_later() {
        let got = line(|| {
            let outer =
                tracing::info_span!("request", route = "/v1/token", client = tracing::field::Empty);
            let _in_outer = outer.enter();
            outer.record("client", "client-002");
            let _in_inner = tracing::info_span!("call", number = 2_u64).entered();
            tracing::info!(status = 200, "answered");
        });
        let spans = json!([
            {"name": "request", "route": "/v1/token", "client": "client-002"},
            {"name": "call", "number": 2},
        ]);
        let expected = json!({
            "level": "INFO", "status": 200, "message": "answered", "target": module_path!(), "spans": spans,
        });
        assert_eq!(got, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_written(text in any::<String>()) {
            let got = line(|| tracing::info!(text, shown = %text, debugged = ?text));
            prop_assert_eq!(&got["text"], &text);
            prop_assert_eq!(&got["shown"], &text);
            prop_assert_eq!(&got["debugged"], &format!("{text:?}"));
        }
    }
}
