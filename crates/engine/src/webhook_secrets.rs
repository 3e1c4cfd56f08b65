//! Signing secrets of webhooks, changed one at a time: the new one is accepted beside the old one until that is removed.

use domain::id::{ConnectionId, TenantId};
use providers::manual;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::rows;

use crate::{
    Engine, Error,
    connections::{ConnectionSecrets, open_secrets, seal_secrets},
    rulings::By,
};

/// Bytes of a fingerprint: enough to tell a handful of secrets apart, and too few to tell anything of them.
const FINGERPRINT_BYTES: usize = 4;

/// What tells a secret from the others of its connection, and names it when it is removed.
#[must_use]
pub fn fingerprint(connection: ConnectionId, secret: &str) -> String {
    let hash =
        Sha256::new().chain_update("keywright/webhook-secret/v1").chain_update(connection.0).chain_update(secret);
    hex::encode(&hash.finalize()[..FINGERPRINT_BYTES])
}

/// What is to become of the secrets.
#[derive(Clone, Debug)]
pub enum SecretChange {
    /// This one is accepted from now on.
    Add(SecretString),
    /// The one of this fingerprint is accepted no more.
    Remove(String),
}

/// Why it cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The tenant has no such connection.
    #[error("there is no connection {0}")]
    NoConnection(ConnectionId),
    /// The connection has no such secret.
    #[error("there is no webhook secret with the fingerprint `{0}`")]
    NoSecret(String),
    /// An event could be of either.
    #[error("connection `{0}` has the same secret: events could not be told apart")]
    Shared(String),
    /// Nothing is delivered there.
    #[error("orders made by hand are not delivered by webhook")]
    Manual,
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for SecretError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Adds or removes a signing secret of a connection's webhooks. Adding one that is there changes nothing.
    ///
    /// # Errors
    /// It cannot be, or those of the database.
    pub async fn change_webhook_secrets(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        change: &SecretChange,
        by: &By,
    ) -> Result<(), SecretError> {
        let once = || self.change_secrets_once(tenant, connection, change, by);
        let conflict = |error: &SecretError| matches!(error, SecretError::Engine(error) if error.is_conflict());
        store::repeat(once, conflict).await?;
        self.configuration_changed();
        Ok(())
    }

    async fn change_secrets_once(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        change: &SecretChange,
        by: &By,
    ) -> Result<(), SecretError> {
        let write = self.store.begin().await?;
        write.lock_catalogue(tenant).await?;
        let connections = write.lock_connections(tenant).await?;
        let row = connections.iter().find(|row| row.id == id.0).ok_or(SecretError::NoConnection(id))?;
        if row.provider == manual::SLUG {
            return Err(SecretError::Manual);
        }
        let mut secrets = self.opened(row)?;
        match change {
            SecretChange::Add(secret) if secrets.webhook.iter().any(|kept| kept == secret.expose_secret()) => {
                return Ok(());
            }
            SecretChange::Add(secret) => {
                self.check_own(&connections, row, secret)?;
                // The new one comes first: it is the one that is going to be used.
                secrets.webhook.insert(0, secret.expose_secret().to_owned());
            }
            SecretChange::Remove(wanted) => {
                let kept = secrets.webhook.iter().position(|secret| fingerprint(id, secret) == *wanted);
                secrets.webhook.remove(kept.ok_or_else(|| SecretError::NoSecret(wanted.clone()))?);
            }
        }
        let mut row = row.clone();
        seal_secrets(&mut row, &secrets, &self.ring(), &mut *self.entropy())?;
        let detail = json!({ "name": row.code, "details": ["webhook_secrets"], "note": by.note });
        write.save_connection(row).await?;
        crate::audit::add(&write, vec![self.told(tenant, "connection.changed", id.to_string(), None, &detail, by)])
            .await?;
        write.commit().await?;
        Ok(())
    }

    fn opened(&self, row: &rows::Connection) -> Result<ConnectionSecrets, Error> {
        Ok(open_secrets(row, &self.ring())?)
    }

    /// No other connection of the tenant and provider has this secret.
    fn check_own(
        &self,
        connections: &[rows::Connection],
        row: &rows::Connection,
        secret: &SecretString,
    ) -> Result<(), SecretError> {
        for other in connections.iter().filter(|other| other.id != row.id && other.provider == row.provider) {
            if self.opened(other)?.webhook.iter().any(|kept| kept == secret.expose_secret()) {
                return Err(SecretError::Shared(other.code.clone()));
            }
        }
        Ok(())
    }
}
