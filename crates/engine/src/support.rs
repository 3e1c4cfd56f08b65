//! What somebody who asks for help sends along: how an installation is made and how it fares, without names, addresses or keys.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use jiff::SignedDuration;
use store::{Status, about::DatabaseFacts};

use crate::{Engine, Error, connections::Mode, doctor::Finding};

/// What the process knows of itself; none: it does not know it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Its release.
    pub version: &'static str,
    /// How long it has run.
    pub up: Option<SignedDuration>,
    /// Whether it is reached by HTTPS.
    pub is_https: Option<bool>,
    /// Whether mails leave it.
    pub sends_mails: Option<bool>,
}

/// What a text for support says.
#[derive(Clone, Debug)]
pub struct SupportText {
    process: Process,
    database: DatabaseFacts,
    /// Vendors, members, and members with a second factor.
    people: (usize, usize, usize),
    /// Connections by provider and mode.
    connections: BTreeMap<(String, &'static str), usize>,
    status: Status,
    attention: BTreeMap<String, u64>,
    /// Findings by the number of their invariant; none: nobody looked.
    findings: Option<BTreeMap<u8, usize>>,
}

impl Engine {
    /// Makes that text. `findings` are what [`Engine::verify`] found, if somebody has looked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn support_text(&self, process: Process, findings: Option<&[Finding]>) -> Result<SupportText, Error> {
        let members = self.store.members().await?;
        let with_passkey = self.store.with_passkey(members.iter().map(|member| member.id).collect()).await?;
        let with_factor =
            members.iter().filter(|row| row.authenticator.is_some() || with_passkey.contains(&row.id)).count();
        let mut connections = BTreeMap::new();
        for row in self.store.connections().await? {
            *connections.entry((row.provider, Mode::read(&row.mode).as_str())).or_default() += 1;
        }
        let counted = |findings: &[Finding]| {
            let mut counts = BTreeMap::new();
            findings.iter().for_each(|finding| *counts.entry(finding.invariant).or_default() += 1);
            counts
        };
        Ok(SupportText {
            process,
            database: self.store.about().await?,
            people: (self.store.tenants().await?.len(), members.len(), with_factor),
            connections,
            status: self.store.status(None).await?,
            attention: self.store.attention_by_kind().await?,
            findings: findings.map(counted),
        })
    }
}

impl fmt::Display for SupportText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, database, people: (vendors, members, with_factor), .. } = self;
        let said = |value: Option<bool>| value.map_or("not known", |value| if value { "yes" } else { "no" });
        let (os, machine) = (std::env::consts::OS, std::env::consts::ARCH);
        writeln!(f, "keywright {} on {os} {machine}", process.version)?;
        if let Some(up) = process.up {
            writeln!(f, "up: {} hours {} minutes", up.as_hours(), up.as_mins() % 60)?;
        }
        writeln!(f, "database: {} {}, {}", database.kind, database.version, size(database.bytes))?;
        writeln!(f, "https: {}; sends mails: {}", said(process.is_https), said(process.sends_mails))?;
        writeln!(f, "vendors: {vendors}; members: {members}, {with_factor} with a second factor")?;
        let connections = self.connections.iter();
        let connections = connections.map(|((provider, mode), count)| format!("{provider} {mode} {count}"));
        writeln!(f, "connections: {}", listed(connections))?;
        let Status { inbox_pending, mails_pending, mails_held, deliveries_pending, deliveries_held, .. } = self.status;
        writeln!(
            f,
            "waiting: events {inbox_pending}, mails {mails_pending}, mails without a sender {mails_held}, deliveries \
             {deliveries_pending}, deliveries held {deliveries_held}"
        )?;
        writeln!(f, "licenses: {}", self.status.licenses_total)?;
        writeln!(
            f,
            "needs attention: {}",
            listed(self.attention.iter().map(|(kind, count)| format!("{kind} {count}")))
        )?;
        let findings = match &self.findings {
            None => "nobody looked; run `keywright doctor --verify --share`".to_owned(),
            Some(counts) => listed(counts.iter().map(|(number, count)| format!("invariant {number}: {count}"))),
        };
        write!(f, "findings: {findings}")
    }
}

fn listed(words: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for word in words {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{word}");
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

/// A size as people say it: in units of 1,024 bytes, to a tenth.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(length, _)| bytes >= *length);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(length, unit)| format!("{}.{} {unit}", bytes / length, bytes % length * 10 / length),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_do() {
        for (bytes, told) in
            [(0, "0 bytes"), (1_023, "1023 bytes"), (1_536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(size(bytes), told);
        }
    }
}
