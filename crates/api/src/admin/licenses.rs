//! Licenses as documents: listed, shown, looked up.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use domain::{
    denied::{Denied, begin_of},
    id::{ActivationId, CustomerId, LicenseId},
    license::{Holding, LicenseState, Rulings},
    tag,
    text::Reference,
};
use engine::{license_metadata::as_read, license_tags::TagPatch};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use store::{
    lists::{LicenseFilter, Listed, ListedLicense, Whose},
    rows::Activation,
};
use utoipa::{IntoParams, ToSchema};

use super::{catalogue, instant, note};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::{Body, Id, SecretBody},
};

words! {
    /// The state of a license.
    StateWord as LicenseState of LicenseState {
        /// It works.
        Active,
        /// It does not work for now. Other systems say suspended or paused (X22).
        #[serde(alias = "suspended", alias = "paused")]
        Frozen,
        /// Its time is over.
        Expired,
        /// It was taken back.
        Revoked,
    }
}

/// A license. Its key is never shown here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = License)]
pub(crate) struct LicenseDocument {
    #[schema(example = "lic_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    /// What may be shown of its key; none: another license took its keys over.
    #[schema(example = "ACME-…-Q7C9")]
    key_hint: Option<String>,
    /// How many keys open it.
    keys: u32,
    state: StateWord,
    /// Why it is in this state. The list is closed and only ever grows.
    #[schema(example = "refunded_in_full")]
    reason: String,
    /// The same as the end of a sentence, with the reference that a person would look up.
    #[schema(example = "payment pi_3 was refunded in full (49.00 EUR)")]
    because: String,
    /// Still valid, and a payment is overdue or a renewal is awaited.
    at_risk: bool,
    /// The end of the term; none: for good, or not known.
    expires_at: Option<Timestamp>,
    /// What time alone will do.
    scheduled: Option<ScheduledDocument>,
    /// The code of its product.
    product: String,
    plan: PlanOfLicense,
    /// By how much the plan's limits are multiplied.
    seats: u32,
    /// What it allows, all seats together.
    limits: LimitsOfLicense,
    order: String,
    /// The provider's id of the subscription that it belongs to.
    #[schema(example = "sub_1")]
    subscription: Option<String>,
    customer: Option<String>,
    /// Two sales turned out to be one: that license stands for this one.
    superseded_by: Option<String>,
    /// What people decided about it.
    rulings: RulingsDocument,
    /// What your own code wrote beside it. While a payment is overdue it also has `payment_status` and
    /// `grace_period_start`.
    #[schema(value_type = Object, example = json!({ "paddle_customer_id": "ctm_1" }))]
    metadata: serde_json::Map<String, serde_json::Value>,
    /// Your own words for it.
    #[schema(example = json!(["beta tester"]))]
    tags: BTreeSet<String>,
    issued_at: Timestamp,
}

/// What time alone will do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scheduled)]
struct ScheduledDocument {
    state: StateWord,
    at: Timestamp,
}

/// The plan of a license, in the version that was sold.
#[derive(Debug, Serialize, ToSchema)]
struct PlanOfLicense {
    id: String,
    code: String,
    version: u32,
}

/// What a license allows.
#[derive(Debug, Serialize, ToSchema)]
struct LimitsOfLicense {
    /// Devices, domains or instances at the same time; none: any number.
    activations: Option<u32>,
    /// Checks in one calendar month (UTC); none: any number.
    checks_per_month: Option<u32>,
    features: Vec<String>,
}

/// What people decided about a license. It beats what providers say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rulings)]
struct RulingsDocument {
    revoked: bool,
    frozen: bool,
    /// The term lasts at least until then.
    extended_until: Option<Timestamp>,
    /// Another plan than the one that was bought.
    plan_changed: bool,
}

impl From<&Rulings> for RulingsDocument {
    fn from(rulings: &Rulings) -> Self {
        Self {
            revoked: rulings.revoked.as_ref().is_some_and(|register| register.value),
            frozen: rulings.frozen.as_ref().is_some_and(|register| register.value),
            extended_until: rulings.extended.as_ref().map(|register| register.value.0),
            plan_changed: rulings.plan.is_some(),
        }
    }
}

impl Listable for LicenseDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl LicenseDocument {
    pub(crate) async fn new(api: &Api, whose: Whose, listed: ListedLicense) -> Result<Self, Problem> {
        let ListedLicense { license, order, customer, livemode, key_hint, metadata, tags, .. } = listed;
        let offer = api.engine.offer(whose.tenant, license.plan).await?;
        let limits = license.limits(&offer.plan.terms.limits);
        let standing = license.standing;
        let metadata = as_read(metadata, &standing);
        Ok(Self {
            id: license.id.to_string(),
            livemode,
            key_hint,
            keys: license.keys,
            state: standing.state.into(),
            reason: standing.reason.code().to_owned(),
            because: standing.reason.sentence(),
            at_risk: standing.at_risk,
            expires_at: standing.until,
            scheduled: standing.scheduled.map(|next| ScheduledDocument { state: next.state.into(), at: next.at }),
            product: offer.product.clone(),
            plan: PlanOfLicense {
                id: license.plan.plan.to_string(),
                code: offer.plan.code.to_string(),
                version: license.plan.version,
            },
            seats: license.unit.seats,
            limits: LimitsOfLicense {
                activations: limits.activations,
                checks_per_month: limits.checks_per_month,
                features: limits.features.into_iter().collect(),
            },
            order: order.to_string(),
            subscription: license.unit.subscribed.then(|| license.unit.source.to_string()),
            customer: customer.map(|id| id.to_string()),
            superseded_by: match license.holding {
                Holding::SupersededBy(id) => Some(id.to_string()),
                Holding::Unit | Holding::Retired => None,
            },
            rulings: RulingsDocument::from(&license.rulings),
            metadata,
            tags,
            issued_at: license.issued_at,
        })
    }
}

/// The documents of a page.
pub(super) async fn documents(
    api: &Api,
    whose: Whose,
    listed: Listed<ListedLicense>,
) -> Result<Listed<LicenseDocument>, Problem> {
    let mut rows = Vec::with_capacity(listed.rows.len());
    for license in listed.rows {
        rows.push(LicenseDocument::new(api, whose, license).await?);
    }
    Ok(Listed { rows, has_more: listed.has_more })
}

/// The document of a license of the caller's.
pub(crate) async fn document(api: &Api, whose: Whose, id: LicenseId) -> Result<LicenseDocument, Problem> {
    let listed = api.engine.store.listed_license(whose, id).await?;
    LicenseDocument::new(api, whose, listed.ok_or_else(|| Problem::not_found(id))?).await
}

/// A license with the devices that use it, and what apps were denied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LicenseDetail {
    #[serde(flatten)]
    license: LicenseDocument,
    activations: Vec<ActivationDocument>,
    /// What checks and activations were denied in the last 90 days, one of each verdict, the last one first. A denial shows a
    /// second later, and says nothing about the state of the license now.
    denials: Vec<DenialDocument>,
}

/// A license in use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Activation)]
struct ActivationDocument {
    id: String,
    /// `device`.
    kind: String,
    fingerprint: String,
    name: Option<String>,
    /// The version of the app, as it said itself the last time.
    #[schema(example = "3.4.1")]
    app_version: Option<String>,
    /// The operating system, as the app said.
    #[schema(example = "macOS 15.2")]
    os: Option<String>,
    created_at: Timestamp,
    /// To a few seconds.
    last_seen_at: Timestamp,
    /// When the last lease of this activation ends: until then the app may run without asking.
    lease_until: Option<Timestamp>,
}

/// Denials of a license with one verdict.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Denial)]
struct DenialDocument {
    /// The verdict.
    #[schema(value_type = String, example = "activation_limit")]
    code: &'static str,
    times: i64,
    /// When the last of them was.
    last_at: Timestamp,
    /// The fingerprints that asked, 8 of them at most.
    devices: Vec<String>,
    /// Whether other devices asked as well.
    more_devices: bool,
    /// The days (UTC) on which it happened, the latest first.
    days: Vec<DayOfDenials>,
}

/// Denials on one day.
#[derive(Debug, Serialize, ToSchema)]
struct DayOfDenials {
    #[schema(value_type = String, format = Date, example = "2026-11-26")]
    day: Date,
    times: i64,
}

impl From<Denied> for DenialDocument {
    fn from(denied: Denied) -> Self {
        let Denied { code, denials, days } = denied;
        let date = |day| begin_of(day).to_zoned(TimeZone::UTC).date();
        Self {
            code: code.as_str(),
            times: denials.times,
            last_at: denials.last_at,
            devices: denials.devices.fingerprints.into_iter().collect(),
            more_devices: denials.devices.are_more,
            days: days.into_iter().map(|(day, times)| DayOfDenials { day: date(day), times }).collect(),
        }
    }
}

impl From<Activation> for ActivationDocument {
    fn from(row: Activation) -> Self {
        Self {
            id: ActivationId(row.id).to_string(),
            kind: row.kind,
            fingerprint: row.fingerprint,
            name: row.name,
            app_version: row.app_version,
            os: row.os,
            created_at: instant(row.created_at),
            last_seen_at: instant(row.last_seen_at),
            lease_until: row.lease_until.map(instant),
        }
    }
}

/// Which licenses.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LicenseParams {
    /// In this state.
    state: Option<StateWord>,
    /// On this plan, by its id or code, in any version.
    plan: Option<String>,
    /// Of this product, by its id or code.
    product: Option<String>,
    /// Of this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// With an end before this moment.
    expires_before: Option<Timestamp>,
    /// With this tag.
    tag: Option<String>,
    /// With something under this name in its metadata.
    metadata_key: Option<String>,
}

/// Lists licenses.
#[utoipa::path(get, path = "/v1/licenses", tag = "licenses", operation_id = "list_licenses",
    params(PageParams, LicenseParams), security(("api_key" = ["license:read"])),
    responses((status = 200, body = List<LicenseDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseRead>,
    listing: Listing<LicenseId, LicenseParams>,
) -> Result<Json<List<LicenseDocument>>, Problem> {
    let (whose, asked) = (caller.whose(), listing.filter);
    let plan = match asked.plan.as_deref() {
        Some(name) => Some(catalogue::plan_named(&api, whose.tenant, name).await?),
        None => None,
    };
    let product = match asked.product.as_deref() {
        Some(name) => Some(catalogue::product_named(&api, whose.tenant, name).await?),
        None => None,
    };
    let filter = LicenseFilter {
        state: asked.state.map(LicenseState::from),
        plan,
        product,
        customer: asked.customer,
        expires_before: asked.expires_before,
        tag: asked.tag.as_deref().map(tag::read).transpose()?,
        metadata_key: asked.metadata_key,
        ..LicenseFilter::default()
    };
    let listed = api.engine.store.list_licenses(whose, &filter, listing.page).await?;
    Ok(Json(List::new(documents(&api, whose, listed).await?, listing.page)))
}

/// Shows a license with the devices that use it, and what apps were denied.
#[utoipa::path(get, path = "/v1/licenses/{id}", tag = "licenses", operation_id = "get_license",
    params(("id" = String, Path)), security(("api_key" = ["license:read"])),
    responses((status = 200, body = LicenseDetail)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseRead>,
    Id(id): Id<LicenseId>,
) -> Result<Json<LicenseDetail>, Problem> {
    let license = document(&api, caller.whose(), id).await?;
    let mut activations = api.engine.store.activations(id).await?;
    activations.sort_by_key(|row| std::cmp::Reverse(row.id));
    let denials = api.engine.denials(id).await?;
    Ok(Json(LicenseDetail {
        license,
        activations: activations.into_iter().map(ActivationDocument::from).collect(),
        denials: denials.into_iter().map(DenialDocument::from).collect(),
    }))
}

/// Tags to add and to take away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TagChange)]
pub(crate) struct TagBody {
    /// The license has these afterwards.
    #[serde(default)]
    #[schema(example = json!(["beta tester"]))]
    add: Vec<String>,
    /// It does not have these.
    #[serde(default)]
    remove: Vec<String>,
    /// For the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Adds tags to a license and takes others away: your own words, by which licenses are found. Of capital and small letters
/// the small ones are kept; a license has 20 tags at most.
#[utoipa::path(post, path = "/v1/licenses/{id}/tags", tag = "licenses", operation_id = "tag_license",
    params(("id" = String, Path)), request_body = TagBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn tag(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseWrite>,
    Id(id): Id<LicenseId>,
    Body(body): Body<TagBody>,
) -> Result<Json<LicenseDocument>, Problem> {
    let read = |tags: Vec<String>| tags.iter().map(|text| tag::read(text)).collect::<Result<BTreeSet<_>, _>>();
    let patch = TagPatch { add: read(body.add)?, remove: read(body.remove)? };
    let (whose, by) = (caller.whose(), caller.by(note(body.note)?));
    // Of this mode, too.
    document(&api, whose, id).await?;
    api.engine.tag_license(whose, id, &patch, &by).await?.ok_or_else(|| Problem::not_found(id))?;
    Ok(Json(document(&api, whose, id).await?))
}

/// What a license is looked up by: one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupBody {
    /// Its key. Case, blanks and look-alikes are forgiven.
    #[serde(default)]
    key: Option<String>,
    /// A provider's id of its sale: of the checkout, payment, invoice, charge, subscription or order.
    #[serde(default)]
    reference: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LookupDocument {
    data: Vec<LicenseDocument>,
}

/// Looks licenses up by their key, or by a provider's reference. A key in an address would stand in logs, so this is a
/// POST.
#[utoipa::path(post, path = "/v1/licenses/lookup", tag = "licenses", operation_id = "look_licenses_up",
    request_body = LookupBody, security(("api_key" = ["license:read"])),
    responses((status = 200, body = LookupDocument)))]
pub(crate) async fn lookup(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseRead>,
    SecretBody(body): SecretBody<LookupBody>,
) -> Result<Json<LookupDocument>, Problem> {
    let (whose, store) = (caller.whose(), &api.engine.store);
    let ids = match (body.key, body.reference) {
        (Some(key), None) => api.engine.license_with_key(&key).await?.into_iter().map(|found| found.id).collect(),
        (None, Some(reference)) => {
            let mut ids = Vec::new();
            for order in store.orders_named(whose, &Reference::new(reference)).await? {
                let found = store.order(whose, order).await?;
                ids.extend(found.into_iter().flat_map(|(_, licenses)| licenses).map(|listed| listed.license.id));
            }
            ids
        }
        _ => return Err(Problem::invalid("Send either `key` or `reference`.")),
    };
    let mut listed = store.listed_licenses(whose, ids).await?;
    listed.sort_by_key(|listed| std::cmp::Reverse(listed.license.id));
    let Listed { rows: data, .. } = documents(&api, whose, Listed { rows: listed, has_more: false }).await?;
    Ok(Json(LookupDocument { data }))
}
