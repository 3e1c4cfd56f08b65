//! Keys on the provider's own record of its customer, where a vendor has switched that on (B05). Best effort, and repeated:
//! nothing of ours depends on it.

use domain::{
    id::{LicenseId, TenantId},
    text::CustomerReference,
};
use providers::calls::WriteBack;
use secrecy::SecretString;
use store::{lists::Whose, rows::ProviderCall};

use crate::{Engine, Error, calls::Ended, connections::Connection};

/// A key that was not written.
const FAILED: &str = "write_back_failed";

impl Engine {
    pub(crate) async fn write_back(&self, connection: &Connection, call: &mut ProviderCall) -> Result<Ended, Error> {
        if !connection.settings.write_back {
            return Ok(Ended::Dropped("writing keys back was switched off".to_owned()));
        }
        let license = LicenseId(call.subject_id);
        let Some(key) = self.reveal(TenantId(call.tenant_id), license).await? else {
            return Ok(Ended::Refused("the license has no key".to_owned()));
        };
        // The key was read first: one that was given out as the sale was handed over is found to be somebody else's.
        if self.is_handed_over(connection, license).await? {
            return Ok(Ended::Dropped("the sale was handed over, and its key is not the buyer's".to_owned()));
        }
        let (customer, key) = (CustomerReference::new(call.customer.as_str()), SecretString::from(key.reveal()));
        let note = WriteBack { license, customer: &customer, key: &key };
        let request = match connection.provider.write_back(&note) {
            Ok(request) => request,
            Err(unsupported) => return Ok(Ended::Refused(unsupported.to_string())),
        };
        Ok(match self.ask_for(connection, call, request).await {
            Ok(dialled) => Ended::of(&dialled),
            Err(error) => Ended::Again(error.to_string(), None),
        })
    }

    /// Whether a license is somebody else's than its buyer's.
    async fn is_handed_over(&self, connection: &Connection, license: LicenseId) -> Result<bool, Error> {
        let whose = Whose { tenant: connection.tenant, livemode: connection.mode.is_live() };
        let Some(listed) = self.store.listed_license(whose, license).await? else { return Ok(false) };
        let order = self.store.order(whose, listed.order).await?;
        Ok(order.is_some_and(|(stored, _)| stored.order.handed_over.is_some()))
    }
}

/// The kind and the subject of the item about a key that was not written.
pub(crate) fn about(call: &ProviderCall) -> (&'static str, String) {
    (FAILED, format!("{}/{}", LicenseId(call.subject_id), call.customer))
}

/// What a person is told of a key that was not written.
pub(crate) fn failed(call: &ProviderCall, problem: &str) -> String {
    format!("the key of {} was not written to customer {}: {problem}", LicenseId(call.subject_id), call.customer)
}
