//! Master keys: whether they fit the database, and their rotation.
//!
//! A canary in the database names the master keys that sealed anything. Before a new key seals its first value its id
//! is written there; a process whose ring lacks one of them refuses to start, since to start would look like lost data.
//!
//! **Rotating on one node:** put a new key first into the ring file, keep the old ones, start with it, [`Engine::reseal`],
//! then take the old keys out of the file. **On several nodes**, a node must be able to open what another one seals, so:
//! first add the new key *behind* the old one in every node's file and restart them one by one; then move it to the
//! front in every file and restart them one by one; only then reseal, and take the old key out. A license key is found
//! under the hash of every key in the ring, so checks answer all the while.

mod canary;
mod sealer;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crypto::seal::sealed_by;
use store::{StoreError, Write};
use uuid::Uuid;

use self::{
    canary::{CANARY, Canary, active, check_keys},
    sealer::Sealer,
};
use crate::{Engine, Error};

/// Values sealed anew in one transaction, so that nobody waits long for it.
const PAGE: u64 = 256;
/// Values that are named when they do not open; whoever has more has to look at these anyway.
const NAMED_MAX: usize = 20;

/// Why the master keys cannot be used, or not be rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The ring belongs to another database, or lost a key.
    #[error(
        "the database holds values that the master key{s} {missing} sealed, and the key ring has only {ring}; put the \
         missing line{s} back into the master key file, from the copy that was kept apart from the database",
        s = if missing.contains(',') { "s" } else { "" }
    )]
    MissingKeys {
        /// The ids that are missing.
        missing: String,
        /// The ids that are there.
        ring: String,
    },
    /// The canary is not what was written.
    #[error(
        "the setting `{CANARY}` in the database was changed ({0}); restore it from a backup. If the master key file is \
         surely the right one, delete that row: it is made anew from what the database holds"
    )]
    Canary(String),
    /// Some values stay as they were.
    #[error("{count} sealed values do not open and were left as they are; restore them from a backup: {}", .first.join("; "))]
    Unopened {
        /// How many.
        count: u64,
        /// The first of them.
        first: Vec<String>,
    },
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<StoreError> for RotationError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl RotationError {
    const fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

/// What was sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// License keys, which also got a new hash.
    pub license_keys: u64,
    /// Secrets of connections.
    pub connections: u64,
    /// Keys that sign leases.
    pub signing_keys: u64,
    /// Secrets of vendors' own addresses.
    pub webhook_endpoints: u64,
    /// Addresses to which alerts go.
    pub alert_channels: u64,
    /// Secrets by which identity providers know this server.
    pub identity_providers: u64,
    /// Secrets of members' authenticators.
    pub authenticators: u64,
    /// Answers to calls with an idempotency key.
    pub answers: u64,
    /// Whether nothing is left that another key has sealed.
    pub is_finished: bool,
}

impl fmt::Display for Resealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            license_keys,
            connections,
            signing_keys,
            webhook_endpoints,
            alert_channels,
            identity_providers,
            authenticators,
            answers,
            is_finished,
        } = self;
        write!(
            f,
            "sealed anew: {license_keys} license keys, {connections} connections, {signing_keys} signing keys, \
             {webhook_endpoints} webhook endpoints, {alert_channels} alert channels, {identity_providers} identity providers, \
             {authenticators} authenticators, {answers} kept answers; {}",
            match is_finished {
                true => "nothing is left that an older master key has sealed",
                false => "not finished, run it again",
            }
        )
    }
}

/// The tables with sealed values.
#[derive(Clone, Copy)]
enum Table {
    LicenseKeys,
    Connections,
    SigningKeys,
    WebhookEndpoints,
    AlertChannels,
    IdentityProviders,
    Members,
    Answers,
}

const TABLES: [Table; 8] = [
    Table::Connections,
    Table::SigningKeys,
    Table::WebhookEndpoints,
    Table::AlertChannels,
    Table::IdentityProviders,
    Table::Members,
    Table::LicenseKeys,
    Table::Answers,
];

impl Resealed {
    fn count(&mut self, table: Table) -> &mut u64 {
        match table {
            Table::LicenseKeys => &mut self.license_keys,
            Table::Connections => &mut self.connections,
            Table::SigningKeys => &mut self.signing_keys,
            Table::WebhookEndpoints => &mut self.webhook_endpoints,
            Table::AlertChannels => &mut self.alert_channels,
            Table::IdentityProviders => &mut self.identity_providers,
            Table::Members => &mut self.authenticators,
            Table::Answers => &mut self.answers,
        }
    }
}

/// A page of values: where it ended, what was sealed anew, and what does not open.
#[derive(Default)]
struct Page {
    last: Option<Uuid>,
    resealed: u64,
    unopened: Vec<String>,
}

/// Values that do not open.
#[derive(Default)]
struct Unopened(BTreeSet<String>);

impl Engine {
    /// Makes sure that this process can open everything in the database. A fresh database is marked with this ring.
    ///
    /// # Errors
    /// The ring lacks a key that sealed something, the canary was changed, or those of the database.
    pub async fn check_ring(&self) -> Result<(), RotationError> {
        store::repeat(|| self.check_ring_once(), RotationError::is_conflict).await
    }

    async fn check_ring_once(&self) -> Result<(), RotationError> {
        let (ring, mut entropy) = (self.ring(), self.entropy());
        let write = self.store.begin().await?;
        if write.setting(CANARY).await?.is_none() {
            let used: BTreeSet<String> = self.seals().await?.into_keys().collect();
            check_keys(&used, &ring)?;
            write.save_first_setting(CANARY, Canary::new(used, &ring, &mut *entropy).text()?).await?;
        }
        // Read again: another node may have been faster, with another ring.
        let text = write.setting(CANARY).await?.unwrap_or_default();
        let canary = Canary::read(&text)?;
        canary.check(&ring)?;
        if !canary.keys.contains(&active(&ring)) {
            let canary = Canary::new(canary.keys, &ring, &mut *entropy);
            write.save_setting(CANARY, canary.text()?).await?;
        }
        Ok(write.commit().await?)
    }

    /// The ids of the master keys that sealed anything.
    pub(crate) async fn keys_used(&self) -> Result<Vec<String>, Error> {
        let text = self.store.setting(CANARY).await?;
        let canary: Option<Canary> =
            text.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::Document)?;
        Ok(canary.map(|canary| canary.keys.into_iter().collect()).unwrap_or_default())
    }

    /// How many values each master key has sealed, by its id. A key that is not named here may leave the ring.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn seals(&self) -> Result<BTreeMap<String, u64>, Error> {
        let mut seals = self.store.seals().await?;
        for connection in self.store.connections().await? {
            if let Some(id) = connection.secrets.as_deref().and_then(sealed_by) {
                *seals.entry(id.to_string()).or_default() += 1;
            }
        }
        for member in self.store.members().await? {
            if let Some(id) = member.authenticator.as_deref().and_then(sealed_by) {
                *seals.entry(id.to_string()).or_default() += 1;
            }
        }
        Ok(seals)
    }

    /// Seals everything with the active master key that another one has sealed. Interrupted, it goes on where it
    /// stopped: what is done is known by its seal.
    ///
    /// # Errors
    /// Some values do not open, or those of the database.
    pub async fn reseal(&self) -> Result<Resealed, RotationError> {
        self.reseal_while(&mut |_| true).await
    }

    /// Like [`Engine::reseal`]; after every page `go_on` is told how far it is, and may stop it.
    ///
    /// # Errors
    /// Some values do not open, or those of the database.
    pub async fn reseal_while(
        &self,
        go_on: &mut (dyn FnMut(&Resealed) -> bool + Send),
    ) -> Result<Resealed, RotationError> {
        // From here on no ring without the new key starts any more.
        self.check_ring().await?;
        let (mut done, mut unopened) = (Resealed::default(), Unopened::default());
        loop {
            let before = done;
            for table in TABLES {
                if !self.reseal_table(table, &mut done, &mut unopened, go_on).await? {
                    return Ok(done);
                }
            }
            // Another pass finds what was sealed with an older key meanwhile.
            if done == before {
                break;
            }
        }
        unopened.check()?;
        let canary = Canary::new(BTreeSet::new(), &self.ring(), &mut *self.entropy());
        let write = self.store.begin().await?;
        write.save_setting(CANARY, canary.text()?).await?;
        write.commit().await?;
        done.is_finished = true;
        Ok(done)
    }

    /// Goes through a table once. False: it was stopped.
    async fn reseal_table(
        &self,
        table: Table,
        done: &mut Resealed,
        unopened: &mut Unopened,
        go_on: &mut (dyn FnMut(&Resealed) -> bool + Send),
    ) -> Result<bool, RotationError> {
        let mut after = Uuid::nil();
        loop {
            let page = store::repeat(|| self.reseal_page(table, after), RotationError::is_conflict).await?;
            *done.count(table) += page.resealed;
            unopened.0.extend(page.unopened);
            let Some(last) = page.last else { return Ok(true) };
            after = last;
            if page.resealed > 0 && !go_on(done) {
                return Ok(false);
            }
        }
    }

    async fn reseal_page(&self, table: Table, after: Uuid) -> Result<Page, RotationError> {
        let ring = self.ring();
        let master = active(&ring);
        let mut entropy = self.entropy();
        let mut sealer = Sealer { ring: &ring, master: &master, entropy: &mut *entropy, page: Page::default() };
        let write = self.store.begin().await?;
        match table {
            Table::LicenseKeys => {
                let rows = write.foreign_license_keys(&master, after, PAGE).await?;
                let rows = sealer.each(rows, |row| row.id, Sealer::license_key);
                write.reseal_license_keys(rows).await?;
            }
            Table::Connections => {
                let rows = write.sealed_connections(after, PAGE).await?;
                let rows = sealer.each(rows, |row| row.id, Sealer::connection);
                write.reseal_connections(rows).await?;
            }
            Table::SigningKeys => {
                let rows = write.foreign_signing_keys(&master, after, PAGE).await?;
                let rows = sealer.each(rows, |row| row.id, Sealer::signing_key);
                write.reseal_signing_keys(rows).await?;
            }
            Table::WebhookEndpoints => {
                let rows = write.foreign_endpoints(&master, after, PAGE).await?;
                let rows = sealer.each(rows, |row| row.id, Sealer::endpoint);
                write.reseal_endpoints(rows).await?;
            }
            Table::AlertChannels => {
                let rows = write.foreign_alert_channels(&master, after, PAGE).await?;
                let rows = sealer.each(rows, |row| row.id, Sealer::alert_channel);
                write.reseal_alert_channels(rows).await?;
            }
            Table::IdentityProviders => {
                let rows = write.foreign_identity_providers(&master, after, PAGE).await?;
                let rows = sealer.each(rows, |row| row.id, Sealer::identity_provider);
                write.reseal_identity_providers(rows).await?;
            }
            Table::Members => {
                let rows = write.members_with_authenticator(after, PAGE).await?;
                let rows = sealer.each(rows, |row| row.id, Sealer::member);
                write.reseal_members(rows).await?;
            }
            Table::Answers => self.reseal_answers(&write, &mut sealer, after).await?,
        }
        let page = sealer.page;
        fail::fail_point!("reseal-before-commit");
        write.commit().await?;
        fail::fail_point!("reseal-after-commit");
        Ok(page)
    }

    async fn reseal_answers(&self, write: &Write, sealer: &mut Sealer<'_>, after: Uuid) -> Result<(), Error> {
        let rows = write.foreign_answers(sealer.master, after, PAGE).await?;
        let rows = sealer.each(rows, |row| row.id, Sealer::answer);
        Ok(write.reseal_answers(rows).await?)
    }
}

impl Unopened {
    fn check(self) -> Result<(), RotationError> {
        match self.0.len() as u64 {
            0 => Ok(()),
            count => Err(RotationError::Unopened { count, first: self.0.into_iter().take(NAMED_MAX).collect() }),
        }
    }
}
