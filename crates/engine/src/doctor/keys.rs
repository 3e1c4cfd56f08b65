//! Whether each license is opened by its keys.

use crypto::{key::LicenseKey, ring::KeyRing, seal::Place};
use domain::{id::TenantId, license::Holding};
use store::rows;

use super::{Finding, examine::Case, of};

/// Each license has as many keys as it counts, beside those that others have taken the place of, and at least one while it
/// holds a unit; and each is found under its hash.
pub(super) fn keys(case: &Case<'_>) -> Vec<Finding> {
    // Settling the order once more tells of those that have waited for too long.
    let is_awaited = case.is_keyed_by_provider();
    let mut findings = Vec::new();
    for license in &case.order.licenses {
        let rows = of(&case.gathered.keys, &license.id);
        let open = rows.iter().filter(|row| row.closes_at.is_none()).count();
        if open != license.keys as usize {
            let problem = format!("it counts {} keys and {open} open it", license.keys);
            findings.push(Finding::new(1, license.id, problem));
        } else if open == 0 && license.holding == Holding::Unit && !is_awaited {
            findings.push(Finding::new(1, license.id, "no key opens it"));
        }
        let problems = rows.iter().filter_map(|row| Some((row, problem(row, case.ring)?)));
        findings.extend(
            problems.map(|(row, problem)| Finding::new(0, license.id, format!("its key {}: {problem}", row.hint))),
        );
    }
    findings
}

fn problem(row: &rows::LicenseKey, ring: &KeyRing) -> Option<String> {
    let text = match ring.open(Place::license_key(TenantId(row.tenant_id), row.id), &row.sealed) {
        Ok(text) => text,
        Err(error) => return Some(error.to_string()),
    };
    let key = str::from_utf8(&text).ok().and_then(|text| LicenseKey::as_written(text).ok());
    let Some(key) = key else { return Some("what is sealed is no license key".to_owned()) };
    let sealed_by = crypto::seal::sealed_by(&row.sealed).map(|id| id.to_string()).unwrap_or_default();
    if sealed_by != row.sealed_by {
        return Some(format!("it is sealed by {sealed_by} and listed under {}", row.sealed_by));
    }
    // Every key of the ring has its own hash of it; the one under which it is found is that of the key that sealed it.
    let place = ring.ids().position(|id| id.to_string() == sealed_by);
    let hashes = ring.license_hashes(&key.normal());
    let is_found = place.and_then(|place| hashes.get(place)).is_some_and(|hash| hash.as_slice() == row.hash);
    (!is_found).then(|| "it is not found under its hash".to_owned())
}
