//! What comes in from providers, and what goes out: events, mails, calls, alerts.

entities! {
    /// One event that a provider delivered, and how far it has come. `account` is the one that the event itself names, `call`
    /// what is kept of the call that brought it: some headers, and by which secret it was believed.
    inbound_events = "inbound_events" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        connection_id: Uuid,
        account: Option<String>,
        event_key: String,
        kind: String,
        livemode: bool,
        occurred_at: Option<i64>,
        received_at: i64,
        status: String,
        body: String,
        requests: Option<String>,
        answers: Option<String>,
        attempts: i32,
        next_attempt_at: Option<i64>,
        lease_token: Option<Uuid>,
        lease_until: Option<i64>,
        error: Option<String>,
        done_at: Option<i64>,
        caught_up: bool,
        call: Option<String>,
    }
    /// How far the provider's own list of a connection's events has been read. `since`, `until` and `page` are those of
    /// the reading under way; without `next_at`, none is due.
    backfills = "backfills" {
        #[sea_orm(primary_key, auto_increment = false)] connection_id: Uuid,
        tenant_id: Uuid,
        caught_up_to: i64,
        since: Option<i64>,
        until: Option<i64>,
        page: Option<String>,
        found: i64,
        attempts: i32,
        next_at: Option<i64>,
        lease_token: Option<Uuid>,
        lease_until: Option<i64>,
        error: Option<String>,
    }
    /// Something that happened here, as told to others; or an example of it, which only its one address is told.
    events = "events" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: bool,
        kind: String,
        license_id: Option<Uuid>,
        order_id: Option<Uuid>,
        customer_id: Option<Uuid>,
        body: String,
        example: bool,
        occurred_at: i64,
    }
    /// One event on its way to one address. `cause` is why it is tried next: a word of `deliveries::cause`.
    deliveries = "deliveries" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        endpoint_id: Uuid,
        event_id: Uuid,
        license_id: Option<Uuid>,
        status: String,
        cause: String,
        attempts: i32,
        next_attempt_at: Option<i64>,
        last_status: Option<i32>,
        error: Option<String>,
        created_at: i64,
        done_at: Option<i64>,
    }
    /// One try to deliver, and what was answered. Keys in the answer are masked.
    delivery_attempts = "delivery_attempts" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        delivery_id: Uuid,
        cause: String,
        began_at: i64,
        duration_micros: i64,
        status: Option<i32>,
        error: Option<String>,
        headers: Option<String>,
        answer: Option<String>,
        truncated: bool,
    }
    /// Events of a stretch of time that are to be delivered once more, so many a second: those that did not arrive, or
    /// `everything`. `behind` is how far it has come: so many of its `events` are `examined`, whether it wants them or not.
    recoveries = "recoveries" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        endpoint_id: Uuid,
        since: i64,
        until: i64,
        everything: bool,
        behind: Option<Uuid>,
        per_second: i32,
        next_at: i64,
        events: i64,
        examined: i64,
        queued: i64,
        status: String,
        created_at: i64,
        done_at: Option<i64>,
    }
    /// A mail. It holds references; what it says is rendered, and its key unsealed, when it is sent. `unanswered` counts those
    /// of its attempts after which nobody knows whether a relay has it.
    mails = "mails" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        kind: String,
        occasion: String,
        license_id: Uuid,
        order_id: Uuid,
        recipient: String,
        recipient_name: Option<String>,
        status: String,
        attempts: i32,
        unanswered: i32,
        next_attempt_at: Option<i64>,
        lease_token: Option<Uuid>,
        lease_until: Option<i64>,
        response: Option<String>,
        created_at: i64,
        sent_at: Option<i64>,
    }
    /// A call that changes something at a provider. It holds references: a license whose key is to be written to the
    /// provider's record of its customer, which is unsealed when it is sent, or a price that is to be made or archived.
    provider_calls = "provider_calls" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        connection_id: Uuid,
        kind: String,
        subject_id: Uuid,
        customer: String,
        status: String,
        attempts: i32,
        refusals: i32,
        next_attempt_at: Option<i64>,
        lease_token: Option<Uuid>,
        lease_until: Option<i64>,
        error: Option<String>,
        created_at: i64,
        done_at: Option<i64>,
    }
    /// An attention item on its way to people by one channel; without an item it is a test. `kind` is that of its item.
    alerts = "alerts" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        channel_id: Uuid,
        item_id: Option<Uuid>,
        kind: String,
        status: String,
        attempts: i32,
        next_attempt_at: Option<i64>,
        error: Option<String>,
        created_at: i64,
        sent_at: Option<i64>,
    }
}
