//! What licenses are brought along with: rows of files that wait to be imported, and the vendor's own words for licenses.

use super::Table;

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "import_rows",
        columns: "change_id uuid, position integer, line integer, hint text, outcome text, detail text, sealed blob?",
        primary: &["change_id", "position"],
        unique: &[],
        indexes: &[(&["change_id", "outcome", "position"], None)],
    },
    Table {
        name: "license_tags",
        columns: "license_id uuid, tag text, tenant_id uuid, livemode boolean",
        primary: &["license_id", "tag"],
        unique: &[],
        indexes: &[(&["tenant_id", "livemode", "tag", "license_id"], None)],
    },
];
