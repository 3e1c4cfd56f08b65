//! What is written down about all of it: what needs a person, what was done, what was answered.

entities! {
    /// Something that needs a person, of one mode or, without `livemode`, of both. `lookup` is what closes it when it changes
    /// (a price, a customer). `told_at` is when it was handed to the alert channels; none: it is to be, or it is closed.
    attention_items = "attention_items" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: Option<bool>,
        kind: String,
        subject: String,
        lookup: Option<String>,
        connection_id: Option<Uuid>,
        order_id: Option<Uuid>,
        inbound_id: Option<Uuid>,
        detail: String,
        opened_at: i64,
        closed_at: Option<i64>,
        dismissed_at: Option<i64>,
        told_at: Option<i64>,
    }
    /// One entry of the audit log, with its place in its tenant's chain.
    audit_entries = "audit_entries" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        occurred_at: i64,
        actor: String,
        action: String,
        subject: String,
        order_id: Option<Uuid>,
        license_id: Option<Uuid>,
        detail: String,
        sequence: i64,
        chain: Vec<u8>,
    }
    /// Words were taken out of an audit entry, since they were about a person who is erased. `digest` is the SHA-256 of what it
    /// said, which its link in the chain stands on.
    audit_erasures = "audit_erasures" {
        #[sea_orm(primary_key, auto_increment = false)] entry_id: Uuid,
        digest: Vec<u8>,
    }
    /// The end of a tenant's audit chain: its last number and link.
    audit_chains = "audit_chains" {
        #[sea_orm(primary_key, auto_increment = false)] tenant_id: Uuid,
        sequence: i64,
        link: Vec<u8>,
    }
    /// The answer that was given to a call with an idempotency key, sealed.
    idempotency_keys = "idempotency_keys" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        key: String,
        fingerprint: Vec<u8>,
        status: Option<i32>,
        sealed: Option<Vec<u8>>,
        sealed_by: Option<String>,
        created_at: i64,
    }
    /// Single values: the canary that tells whether the master key fits.
    settings = "settings" {
        #[sea_orm(primary_key, auto_increment = false)] name: String,
        value: String,
    }
    /// How often something happened in an hour (since 1970): `what` is a word of `domain::counted`.
    hourly_counts = "hourly_counts" {
        #[sea_orm(primary_key, auto_increment = false)] tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] livemode: bool,
        #[sea_orm(primary_key, auto_increment = false)] hour: i64,
        #[sea_orm(primary_key, auto_increment = false)] what: String,
        times: i64,
    }
}
