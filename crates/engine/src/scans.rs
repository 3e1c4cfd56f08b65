//! Looks at everything that a vendor's people ask for: each reads much, so that a vendor has one at a time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use domain::id::TenantId;

use crate::Engine;

/// Whose people look at everything now.
#[derive(Debug, Default)]
pub(crate) struct Scans(Arc<Mutex<HashSet<TenantId>>>);

/// A look at everything. Dropped, it is over.
#[derive(Debug)]
pub struct Scan {
    of: Arc<Mutex<HashSet<TenantId>>>,
    tenant: TenantId,
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.tenant);
    }
}

impl Scans {
    fn begin(&self, tenant: TenantId) -> Option<Scan> {
        let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
        is_first.then(|| Scan { of: Arc::clone(&self.0), tenant })
    }
}

impl Engine {
    /// Begins to look at everything for a vendor: whoever does so holds it meanwhile. None: somebody does already, in this
    /// process.
    #[must_use]
    pub fn begin_scan(&self, tenant: TenantId) -> Option<Scan> {
        self.scans.begin(tenant)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_vendor_has_one_at_a_time() {
        let (scans, tenant) = (Scans::default(), |number| TenantId(Uuid::from_u128(number)));
        let first = scans.begin(tenant(1));
        assert!(first.is_some() && scans.begin(tenant(1)).is_none() && scans.begin(tenant(2)).is_some());
        drop(first);
        assert!(scans.begin(tenant(1)).is_some());
    }
}
