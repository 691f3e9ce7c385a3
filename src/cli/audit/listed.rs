//! Lists decisions, one a line, followed by the policies of their tokens.

use std::io::{self, Write};

use super::entry::Entry;
use super::policies::Policies;
use crate::telemetry::escaped;

#[derive(Default)]
pub(super) struct Listed {
    pub(super) policies: Policies,
}

impl Listed {
    pub(super) fn write(&mut self, out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
        self.policies.want(entry);
        let text = |text: &Option<std::borrow::Cow<'_, str>>| {
            escaped(text.as_deref().unwrap_or("-")).into_owned()
        };
        write!(
            out,
            "{}  {:7}  {}",
            entry.time.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
            escaped(&entry.decision),
            text(&entry.client),
        )?;
        if let Some(user) = entry.user() {
            write!(out, " for {}", escaped(&user))?;
        }
        write!(out, "  grant {}", text(&entry.grant))?;
        if let Some(from) = entry.from() {
            write!(out, "  from {}", escaped(&from))?;
        }
        if let Some(object) = entry.object() {
            write!(out, "  {}", escaped(&object))?;
        }
        if let Some(id) = &entry.sts_access_key_id {
            writeln!(
                out,
                "  {} until {} ({})  session {} of {}",
                escaped(id),
                text(if entry.expires_at.is_some() {
                    &entry.expires_at
                } else {
                    &entry.expiration
                }),
                text(&entry.source),
                text(&entry.session_name),
                text(&entry.role),
            )
        } else {
            if let Some(end) = &entry.expiration {
                write!(out, "  until {}", escaped(end))?;
            }
            if let Some(why) = entry.why() {
                write!(out, "  {}", escaped(&why))?;
            }
            for (verb, request) in
                [("also allows", &entry.also_allows), ("no longer allows", &entry.no_longer_allows)]
            {
                if let Some(request) = request {
                    write!(out, "; {verb} {}", escaped(request))?;
                }
            }
            if let (Some(count), Some(last)) = (entry.count, entry.last) {
                write!(out, " ({count} times until {})", last.format("%Y-%m-%dT%H:%M:%SZ"))?;
            }
            writeln!(out)
        }
    }
}
