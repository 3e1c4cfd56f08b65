//! The tables of what apps do with licenses, beside using them.

use super::Table;

pub(super) const TABLES: &[Table] = &[Table {
    name: "denied_checks",
    columns: "license_id uuid, day bigint, code text, tenant_id uuid, times bigint, devices text, more_devices boolean,
        last_at bigint",
    primary: &["license_id", "day", "code"],
    unique: &[],
    indexes: &[(&["tenant_id", "day"], None)],
}];
