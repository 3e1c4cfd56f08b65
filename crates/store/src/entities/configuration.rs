//! What a vendor and the operator have set up.

entities! {
    /// A vendor's account. `catalogue_revision` grows with every change to plans, rules and the account itself; `account`
    /// is a document with what it may have; `test_clock_ahead` is by how many microseconds the clock of test mode is ahead;
    /// deliveries to its own systems are remembered for `deliveries_kept_days`; with `requires_second_factor`, members without one
    /// see no page of it.
    tenants = "tenants" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        slug: String,
        name: String,
        status: String,
        account: String,
        catalogue_revision: i64,
        test_clock_ahead: i64,
        deliveries_kept_days: Option<i32>,
        requires_second_factor: bool,
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
    /// A key to the API; only its hash is kept. `created_by` is the actor who made it. One that another has replaced opens until
    /// `expires_at`; the others have no end.
    api_keys = "api_keys" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        name: String,
        kind: String,
        scopes: String,
        hash: Vec<u8>,
        created_by: String,
        created_at: i64,
        last_used_at: Option<i64>,
        expires_at: Option<i64>,
        revoked_at: Option<i64>,
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
    /// A sale that a price rule decided, by what the rule looks for and when it was sold. Orders that turn out to be one after
    /// both were decided count twice.
    rule_sales = "rule_sales" {
        #[sea_orm(primary_key, auto_increment = false)] connection_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] matcher_kind: String,
        #[sea_orm(primary_key, auto_increment = false)] matcher_value: String,
        #[sea_orm(primary_key, auto_increment = false)] sold_at: i64,
        #[sea_orm(primary_key, auto_increment = false)] order_id: Uuid,
    }
}
