//! The tables, as rows. Ids are UUIDs, times integer microseconds (UTC), documents JSON text; no row knows another.

/// Declares one module per table with its row and SeaORM's companions.
macro_rules! entities {
    ($($(#[$doc:meta])* $module:ident = $table:tt { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {$(
        pub mod $module {
            use sea_orm::entity::prelude::*;

            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]

            pub struct Model {
                $($(#[$attribute])* pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    )*

        /// Every column of every row, as (table, column, type, nullable), for the test that compares them with both databases.
        #[cfg(test)]
        pub(crate) fn columns() -> Vec<(&'static str, &'static str, sea_orm::ColumnType, bool)> {
            use sea_orm::{ColumnTrait, IdenStatic, Iterable};
            let mut columns = Vec::new();
            $(columns.extend($module::Column::iter().map(|column| {
                let definition = column.def();
                ($table, column.as_str(), definition.get_column_type().clone(), definition.is_null())
            }));)*
            columns
        }
    };
}

entities! {
    /// A vendor's account. `catalogue_revision` grows with every change to plans, rules and the account itself; `account`
    /// is a document with what it may have; `test_clock_ahead` is by how many microseconds the clock of test mode is ahead;
    /// deliveries to its own systems are remembered for `deliveries_kept_days`.
    tenants = "tenants" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        slug: String,
        name: String,
        status: String,
        account: String,
        catalogue_revision: i64,
        test_clock_ahead: i64,
        deliveries_kept_days: Option<i32>,
        created_at: i64,
    }
    /// Something a vendor sells. `brand` is what its mails and pages look like.
    products = "products" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        code: String,
        name: String,
        key_prefix: String,
        brand: String,
        created_at: i64,
    }
    /// One version of a plan. Versions never change.
    plans = "plans" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] version: i32,
        tenant_id: Uuid,
        product_id: Uuid,
        code: String,
        name: String,
        terms: String,
        created_at: i64,
    }
    /// One account at a payment provider in one mode. `secrets` is sealed. `account` is the one that its settings name:
    /// what an account sells belongs to one connection, whoever names it at the same moment.
    connections = "connections" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        provider: String,
        code: String,
        mode: String,
        account: Option<String>,
        settings: String,
        api_base: Option<String>,
        secrets: Option<Vec<u8>>,
        created_at: i64,
    }
    /// What a provider's price gives and adds, to sales of which time; `valid_from` 0 is since ever.
    price_rules = "price_rules" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        connection_id: Uuid,
        matcher_kind: String,
        matcher_value: String,
        grants: String,
        adds: String,
        valid_from: i64,
        valid_until: Option<i64>,
        created_at: i64,
    }
    /// A buyer. `email_normalised` is unique per tenant and mode.
    customers = "customers" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: bool,
        email_normalised: String,
        email: String,
        name: Option<String>,
        created_at: i64,
    }
    /// What a provider knows about one of its customers.
    identities = "identities" {
        #[sea_orm(primary_key, auto_increment = false)] connection_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] reference: String,
        tenant_id: Uuid,
        snapshot: String,
        updated_at: i64,
    }
    /// Everything known about one sale, joined. `due_at` is when it must be looked at again.
    orders = "orders" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        connection_id: Uuid,
        livemode: bool,
        customer_id: Option<Uuid>,
        body: String,
        due_at: Option<i64>,
        merged_into: Option<Uuid>,
        created_at: i64,
        updated_at: i64,
    }
    /// A name of a sale. Each belongs to one order of its connection.
    order_references = "order_references" {
        #[sea_orm(primary_key, auto_increment = false)] connection_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] reference: String,
        order_id: Uuid,
    }
    /// What one event said, for good: orders can be rebuilt from these.
    facts = "facts" {
        #[sea_orm(primary_key, auto_increment = false)] inbound_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] position: i32,
        order_id: Option<Uuid>,
        kind: String,
        version: i32,
        body: String,
    }
    /// One event that a provider delivered, and how far it has come. `account` is the one that the event itself names.
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
    /// A license. `adjustment` is how its limits differ from its plan's. `unit`, `standing` and `rulings` are documents; what lists filter by stands beside them.
    licenses = "licenses" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: bool,
        order_id: Uuid,
        origin_order_id: Uuid,
        slot: i32,
        customer_id: Option<Uuid>,
        product_id: Uuid,
        plan_id: Uuid,
        plan_version: i32,
        seats: i32,
        adjustment: Option<String>,
        state: String,
        until: Option<i64>,
        unit: String,
        standing: String,
        rulings: String,
        holding: String,
        superseded_by: Option<Uuid>,
        announced: bool,
        expiry_told: Option<i64>,
        keys: i32,
        issued_at: i64,
        updated_at: i64,
    }
    /// A key: found by its keyed hash, kept sealed. `hint` is what may be shown.
    license_keys = "license_keys" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        license_id: Uuid,
        hash: Vec<u8>,
        sealed: Vec<u8>,
        sealed_by: String,
        hint: String,
        created_at: i64,
    }
    /// What a vendor's own code wrote beside a license: a JSON object. No event ever writes here, so a license that is
    /// settled anew keeps it.
    license_metadata = "license_metadata" {
        #[sea_orm(primary_key, auto_increment = false)] license_id: Uuid,
        tenant_id: Uuid,
        body: String,
        updated_at: i64,
    }
    /// A license in use.
    activations = "activations" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        license_id: Uuid,
        kind: String,
        fingerprint: String,
        name: Option<String>,
        created_at: i64,
        last_seen_at: i64,
    }
    /// How often a license, or all licenses of a tenant, were checked in a month, counted from the year 0. Only where a plan
    /// or an account limits that.
    check_usage = "check_usage" {
        #[sea_orm(primary_key, auto_increment = false)] subject_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] month: i32,
        checks: i64,
    }
    /// When a tenant opened its last checkouts: those that still count against how many it may open.
    checkout_windows = "checkout_windows" {
        #[sea_orm(primary_key, auto_increment = false)] tenant_id: Uuid,
        opened: String,
    }
    /// A plan's price at a connection that this server has made or is to make. `price` is what it costs, `reference` what
    /// the provider calls it. A price never changes: a retired one made place for another. From `asked_at` on it may be
    /// there, whatever is known of the answer.
    plan_prices = "plan_prices" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        plan_id: Uuid,
        connection_id: Uuid,
        price: String,
        reference: Option<String>,
        asked_at: Option<i64>,
        created_at: i64,
        retired_at: Option<i64>,
    }
    /// A key that signs leases. The secret half is sealed.
    signing_keys = "signing_keys" {
        #[sea_orm(primary_key, auto_increment = false)] kid: String,
        tenant_id: Uuid,
        id: Uuid,
        public: Vec<u8>,
        sealed: Vec<u8>,
        sealed_by: String,
        created_at: i64,
        retired_at: Option<i64>,
    }
    /// A key to the API; only its hash is kept.
    api_keys = "api_keys" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        name: String,
        kind: String,
        scopes: String,
        hash: Vec<u8>,
        created_at: i64,
        last_used_at: Option<i64>,
        revoked_at: Option<i64>,
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
    /// One of a vendor's own addresses to which events go. `kinds` is the filter as a document, which it has since
    /// `wants_since`; `sealed` holds the secrets that sign and the headers that go along. Its lease is the right to call
    /// it: one node at a time.
    webhook_endpoints = "webhook_endpoints" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: bool,
        code: String,
        url: String,
        kinds: String,
        style: String,
        schedule: String,
        ordered: bool,
        status: String,
        reason: Option<String>,
        sealed: Vec<u8>,
        sealed_by: String,
        wants_since: i64,
        failing_since: Option<i64>,
        warned_at: Option<i64>,
        lease_token: Option<Uuid>,
        lease_until: Option<i64>,
        created_at: i64,
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
    /// `everything`. `behind` is how far it has come.
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
    /// A version of what a vendor wrote for a mail: the parts that it replaces. `product_id` is all zeros for all products. Of
    /// a mail's versions one at most is active.
    mail_templates = "mail_templates" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        product_id: Uuid,
        kind: String,
        language: String,
        version: i32,
        subject: Option<String>,
        intro: Option<String>,
        body_text: Option<String>,
        body_html: Option<String>,
        active: bool,
        actor: String,
        created_at: i64,
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
    /// A way by which alerts reach people. `items` is a document with the kinds of items that it carries; none: those that
    /// matter. `hint` is what may be shown of its address, which is sealed. Its lease is the right to use it.
    alert_channels = "alert_channels" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: bool,
        code: String,
        kind: String,
        hint: String,
        items: String,
        sealed: Vec<u8>,
        sealed_by: String,
        lease_token: Option<Uuid>,
        lease_until: Option<i64>,
        created_at: i64,
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
    /// Something that needs a person. `lookup` is what closes it when it changes (a price, a customer). `told_at` is when it
    /// was handed to the alert channels; none: it is to be, or it is closed.
    attention_items = "attention_items" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
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
    /// The end of a tenant's audit chain: its last number and link.
    audit_chains = "audit_chains" {
        #[sea_orm(primary_key, auto_increment = false)] tenant_id: Uuid,
        sequence: i64,
        link: Vec<u8>,
    }
    /// Single values: the canary that tells whether the master key fits.
    settings = "settings" {
        #[sea_orm(primary_key, auto_increment = false)] name: String,
        value: String,
    }
}
