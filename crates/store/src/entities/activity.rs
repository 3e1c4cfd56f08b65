//! What apps do with licenses, beside using them.

entities! {
    /// How often a license was denied with one answer on one day (days since 1970-01-01, UTC). `devices` are fingerprints, a
    /// JSON array of bounded length; `more_devices`: there were others.
    denied_checks = "denied_checks" {
        #[sea_orm(primary_key, auto_increment = false)] license_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] day: i64,
        #[sea_orm(primary_key, auto_increment = false)] code: String,
        tenant_id: Uuid,
        times: i64,
        devices: String,
        more_devices: bool,
        last_at: i64,
    }
}
