//! What a vendor's own code writes beside a license (E14, E18). It merges: what is not named stays.

use domain::{
    id::{LicenseId, TenantId},
    license::Standing,
    reason::{Cause, Reason},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Engine, Error, rulings::By};

/// Keys that a license may have.
pub const KEYS_MAX: usize = 50;
/// The longest key, in characters.
pub const KEY_CHARACTERS_MAX: usize = 40;
/// The longest value, in characters.
pub const VALUE_CHARACTERS_MAX: usize = 500;

/// Says that a payment is overdue (E20).
const PAYMENT_STATUS: &str = "payment_status";
/// When what was paid was over, so that the days of grace began.
const GRACE_PERIOD_START: &str = "grace_period_start";

/// Why metadata cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// A key that nobody could look up.
    #[error("`metadata` has a key of {0} characters; a key has 1 to {KEY_CHARACTERS_MAX}")]
    Key(usize),
    /// A value within a value, or one that is too long.
    #[error("`metadata.{0}` is no text of at most {VALUE_CHARACTERS_MAX} characters, no number and no yes or no")]
    Value(String),
    /// Too many of them.
    #[error("the license would have {0} metadata keys; {KEYS_MAX} is the most. A key that is set to null goes")]
    TooMany(usize),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl MetadataError {
    const fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

impl From<store::StoreError> for MetadataError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Whether all of this can be kept.
///
/// # Errors
/// A key or a value cannot.
pub fn check(patch: &Map<String, Value>) -> Result<(), MetadataError> {
    for (key, value) in patch {
        let characters = key.chars().count();
        if !(1..=KEY_CHARACTERS_MAX).contains(&characters) {
            return Err(MetadataError::Key(characters));
        }
        let fits = match value {
            Value::String(text) => text.chars().count() <= VALUE_CHARACTERS_MAX,
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
            Value::Array(_) | Value::Object(_) => false,
        };
        if !fits {
            return Err(MetadataError::Value(key.clone()));
        }
    }
    let kept = patch.values().filter(|value| !value.is_null()).count();
    if kept > KEYS_MAX { Err(MetadataError::TooMany(kept)) } else { Ok(()) }
}

/// Metadata as it is read: while a payment is overdue it says so, and since when (E20). That is computed and never stored,
/// so it is gone the moment the payment is made good.
#[must_use]
pub fn as_read(mut metadata: Map<String, Value>, standing: &Standing) -> Map<String, Value> {
    if let Some(since) = overdue_since(standing) {
        metadata.insert(PAYMENT_STATUS.to_owned(), json!("past_due"));
        metadata.insert(GRACE_PERIOD_START.to_owned(), json!(since));
    }
    metadata
}

fn overdue_since(standing: &Standing) -> Option<Timestamp> {
    match &standing.reason {
        Reason::Cause(Cause::PastDue { paid_until, .. }) => Some(*paid_until),
        _ => None,
    }
}

/// Merges: null takes a key away, everything else replaces it. While a payment is overdue, the two keys that tell so are
/// ours: whoever sends back what they read does not make it permanent.
fn merge(metadata: &mut Map<String, Value>, patch: &Map<String, Value>, standing: &Standing) {
    let is_overdue = overdue_since(standing).is_some();
    let is_ours = |key: &str| is_overdue && (key == PAYMENT_STATUS || key == GRACE_PERIOD_START);
    for (key, value) in patch.iter().filter(|(key, _)| !is_ours(key)) {
        match value {
            Value::Null => drop(metadata.remove(key)),
            value => drop(metadata.insert(key.clone(), value.clone())),
        }
    }
}

impl Engine {
    /// Merges into the metadata of a license whose standing was `standing`. False: the tenant has no such license.
    ///
    /// # Errors
    /// It cannot be kept, or those of the database.
    pub async fn merge_license_metadata(
        &self,
        tenant: TenantId,
        license: LicenseId,
        standing: &Standing,
        patch: &Map<String, Value>,
        by: &By,
    ) -> Result<bool, MetadataError> {
        check(patch)?;
        let once = || self.merge_metadata_once(tenant, license, standing, patch, by);
        store::repeat(once, MetadataError::is_conflict).await
    }

    async fn merge_metadata_once(
        &self,
        tenant: TenantId,
        license: LicenseId,
        standing: &Standing,
        patch: &Map<String, Value>,
        by: &By,
    ) -> Result<bool, MetadataError> {
        let write = self.store.begin().await?;
        let Some(before) = write.lock_license_metadata(tenant, license).await? else { return Ok(false) };
        let mut metadata = before.clone();
        merge(&mut metadata, patch, standing);
        if metadata.len() > KEYS_MAX {
            return Err(MetadataError::TooMany(metadata.len()));
        }
        if metadata == before {
            return Ok(true);
        }
        write.save_license_metadata(tenant, license, &metadata, self.now()).await?;
        let names: Vec<&String> = patch.keys().collect();
        // Names only: values may be about a person, and the log is never rewritten.
        let detail = json!({ "keys": names, "note": by.note });
        let order = write.order_of_license(tenant, license).await?;
        let mut entry = self.told(tenant, "license.metadata_changed", license.to_string(), order, &detail, by);
        entry.license_id = Some(license.0);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn overdue() -> Standing {
        let reason = Reason::Cause(Cause::PastDue {
            subscription: "sub_1".into(),
            paid_until: Timestamp::from_second(1_795_219_200).unwrap_or_default(),
        });
        Standing { reason, ..paid() }
    }

    fn paid() -> Standing {
        Standing {
            state: domain::license::LicenseState::Active,
            reason: Reason::Paid,
            until: None,
            at_risk: false,
            downgraded: false,
            scheduled: None,
            next_check: None,
            open: Vec::new(),
        }
    }

    #[test]
    fn metadata_merges_and_null_takes_away() {
        for (before, patch, after) in [
            (json!({}), json!({ "a": "1" }), json!({ "a": "1" })),
            (json!({ "a": "1", "b": 2 }), json!({ "b": 3 }), json!({ "a": "1", "b": 3 })),
            (json!({ "a": "1", "b": 2 }), json!({ "a": null, "c": null }), json!({ "b": 2 })),
            (json!({ "a": "1" }), json!({}), json!({ "a": "1" })),
        ] {
            let mut metadata = object(before);
            merge(&mut metadata, &object(patch), &paid());
            assert_eq!(metadata, object(after));
        }
    }

    #[test]
    fn an_overdue_payment_is_told_while_it_is_overdue_and_never_stored() {
        let own = object(json!({ "seat": "7" }));
        let read = as_read(own.clone(), &overdue());
        let told = json!({ "seat": "7", "payment_status": "past_due", "grace_period_start": "2026-11-21T00:00:00Z" });
        assert_eq!(read, object(told));
        // What a caller read is sent back, as the source document does.
        let mut metadata = own.clone();
        merge(&mut metadata, &read, &overdue());
        assert_eq!(as_read(metadata, &paid()), own);
        // Of a sale whose payments are not known here, the caller's word counts.
        let mut metadata = own;
        merge(&mut metadata, &object(json!({ "payment_status": "past_due" })), &paid());
        assert_eq!(metadata["payment_status"], "past_due");
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let many: Map<String, Value> = (0..=KEYS_MAX).map(|number| (number.to_string(), json!(1))).collect();
        for (patch, told) in [
            (object(json!({ "": 1 })), "`metadata` has a key of 0 characters"),
            (object(json!({ "a": { "b": 1 } })), "`metadata.a` is no text"),
            (object(json!({ "a": "x".repeat(VALUE_CHARACTERS_MAX + 1) })), "`metadata.a` is no text"),
            (many, "the license would have 51 metadata keys"),
        ] {
            let error = check(&patch).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with(told), "{error}");
        }
    }
}
