//! What was sold and what came of it: buyers, orders, licenses, devices.

entities! {
    /// A buyer. `email_normalised` is unique per tenant and mode; once their data was erased, it is their id.
    /// One who turned out to be the same person as another is `merged_into` that one, who is no part of a third.
    customers = "customers" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: bool,
        email_normalised: String,
        email: String,
        name: Option<String>,
        created_at: i64,
        erased_at: Option<i64>,
        merged_into: Option<Uuid>,
    }
    /// What a provider knows about one of its customers, and who that is here, once somebody had to know. Of one who was
    /// `erased`, no name and no address is kept.
    identities = "identities" {
        #[sea_orm(primary_key, auto_increment = false)] connection_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] reference: String,
        tenant_id: Uuid,
        customer_id: Option<Uuid>,
        snapshot: String,
        updated_at: i64,
        erased: bool,
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
    /// What one event said, for good: orders can be rebuilt from these. `customer` is the provider's customer that it is about,
    /// where it is about one.
    facts = "facts" {
        #[sea_orm(primary_key, auto_increment = false)] inbound_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] position: i32,
        order_id: Option<Uuid>,
        kind: String,
        version: i32,
        body: String,
        customer: Option<String>,
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
        connection_id: Uuid,
        product_id: Uuid,
        plan_id: Uuid,
        plan_version: i32,
        seats: i32,
        adjustment: Option<String>,
        state: String,
        reason: String,
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
    /// A key: found by its keyed hash, kept sealed. `hint` is what may be shown, `ending` the last symbols of its
    /// canonical form, by which a person looks for it. From `closes_at` on it opens nothing: another has taken its place. It
    /// stays, so that whoever has it can be helped.
    license_keys = "license_keys" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        license_id: Uuid,
        hash: Vec<u8>,
        sealed: Vec<u8>,
        sealed_by: String,
        hint: String,
        ending: String,
        created_at: i64,
        closes_at: Option<i64>,
    }
    /// What a vendor's own code wrote beside a license: a JSON object. No event ever writes here, so a license that is
    /// settled anew keeps it.
    license_metadata = "license_metadata" {
        #[sea_orm(primary_key, auto_increment = false)] license_id: Uuid,
        tenant_id: Uuid,
        body: String,
        updated_at: i64,
    }
    /// A license in use. `app_version` and `os` are what its app says of itself; `lease_until` is when the last lease that it
    /// got ends, whatever becomes of the license meanwhile.
    activations = "activations" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        license_id: Uuid,
        kind: String,
        fingerprint: String,
        name: Option<String>,
        app_version: Option<String>,
        os: Option<String>,
        created_at: i64,
        last_seen_at: i64,
        lease_until: Option<i64>,
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
}
