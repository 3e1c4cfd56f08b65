//! What people do with many licenses at once, and the lists that they come back to.

entities! {
    /// A list that a vendor's people come back to, by its name: `query` is what they ask for.
    saved_views = "saved_views" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        name: String,
        query: String,
        actor: String,
        created_at: i64,
    }
    /// A change of many licenses, one after the other. `done` counts those that were looked at, `skipped` those among them
    /// that stayed as they were. Nobody else works on it until `lease_until`.
    bulk_changes = "bulk_changes" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: bool,
        action: String,
        days: Option<i32>,
        tag: Option<String>,
        actor: String,
        note: Option<String>,
        total: i32,
        done: i32,
        skipped: i32,
        status: String,
        lease_until: Option<i64>,
        created_at: i64,
        done_at: Option<i64>,
    }
    /// One license of such a change. `until` is the end that it is to get, so that doing it twice does no more. Without an
    /// `outcome` it is still to be done; an empty one says that it was changed, another why not. What an import brings has no
    /// license before.
    bulk_items = "bulk_items" {
        #[sea_orm(primary_key, auto_increment = false)] change_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] position: i32,
        license_id: Option<Uuid>,
        until: Option<i64>,
        outcome: Option<String>,
    }
}
