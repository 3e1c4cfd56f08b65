//! The table of what price rules decided.

use super::Table;

pub(super) const TABLES: &[Table] = &[Table {
    name: "rule_sales",
    columns: "connection_id uuid, matcher_kind text, matcher_value text, sold_at bigint, order_id uuid",
    primary: &["connection_id", "matcher_kind", "matcher_value", "sold_at", "order_id"],
    unique: &[],
    indexes: &[],
}];
