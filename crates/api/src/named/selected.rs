//! Revoke and downgrade by what a vendor's own webhook handler knows of a sale (A23, A24, A26, X10).

use axum::extract::State;
use domain::{
    id::LicenseId,
    license::Holding,
    ruling::Ruling,
    text::{EmailAddress, Reference},
};
use serde::Deserialize;
use store::lists::{CustomerFilter, LicenseFilter, ListedLicense, Page, Whose};
use utoipa::ToSchema;

use super::wording::plan_named;
use crate::{
    Api,
    admin::{
        licenses::LicenseDocument,
        rulings::{Ruled, Ruler, rule},
    },
    page::LIMIT_MAX,
    problem::{Code, LicenseMatch, Problem},
    read::Body,
};

/// Which license, and what is to become of it. The narrowest name that is given decides, and no other is looked at: an id
/// that is not known must not end in somebody else's license. In this order: license, subscription, charge, payment,
/// invoice, checkout, any reference, e-mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectedBody {
    /// The license itself. Also `licenseId`.
    #[serde(default, alias = "licenseId")]
    #[schema(value_type = Option<String>)]
    license_id: Option<LicenseId>,
    /// Also `subscriptionId`, `stripe_subscription_id` and `subscription`.
    #[serde(
        default,
        rename = "stripeSubscriptionId",
        alias = "stripe_subscription_id",
        alias = "subscriptionId",
        alias = "subscription"
    )]
    subscription: Option<String>,
    /// Also `stripe_charge_id`.
    #[serde(default, rename = "stripeChargeId", alias = "stripe_charge_id")]
    charge: Option<String>,
    /// Also `stripe_payment_intent_id`.
    #[serde(default, rename = "stripePaymentIntentId", alias = "stripe_payment_intent_id")]
    payment: Option<String>,
    /// Also `stripe_invoice_id`.
    #[serde(default, rename = "stripeInvoiceId", alias = "stripe_invoice_id")]
    invoice: Option<String>,
    /// Also `stripe_session_id`.
    #[serde(default, rename = "stripeSessionId", alias = "stripe_session_id")]
    checkout: Option<String>,
    /// Any provider's id of the sale, or your own reference of a license that was issued by call.
    #[serde(default)]
    reference: Option<String>,
    /// The buyer's address, when exactly one license is theirs.
    #[serde(default)]
    email: Option<String>,
    /// The code of the plan that it gets; for `downgrade` only. Also `new_plan`.
    #[serde(default, rename = "newPlan", alias = "new_plan")]
    #[schema(example = "starter")]
    new_plan: Option<String>,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000, example = "full_refund")]
    reason: Option<String>,
}

/// Takes the one license back that matches, whatever the money says.
#[utoipa::path(post, path = "/v1/licenses/revoke", tag = "licenses", operation_id = "revoke_selected_license",
    request_body = SelectedBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn revoke(State(api): State<Api>, caller: Ruler, Body(body): Body<SelectedBody>) -> Ruled {
    if body.new_plan.is_some() {
        let detail = "A license that is taken back gets no plan. Leave `newPlan` out, or call /v1/licenses/downgrade.";
        return Err(Problem::invalid(detail).of("newPlan"));
    }
    let id = select(&api, caller.whose(), &body).await?;
    rule(&api, &caller, id, Ruling::Revoke, body.reason).await
}

/// Gives the one license that matches another plan.
#[utoipa::path(post, path = "/v1/licenses/downgrade", tag = "licenses", operation_id = "downgrade_selected_license",
    request_body = SelectedBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn downgrade(State(api): State<Api>, caller: Ruler, Body(body): Body<SelectedBody>) -> Ruled {
    let id = select(&api, caller.whose(), &body).await?;
    let plan = plan_named(&api, caller.whose().tenant, body.new_plan.as_deref(), "newPlan").await?;
    rule(&api, &caller, id, Ruling::ChangePlan(plan.version), body.reason).await
}

/// The one license that matches.
async fn select(api: &Api, whose: Whose, body: &SelectedBody) -> Result<LicenseId, Problem> {
    if let Some(id) = body.license_id {
        return Ok(id);
    }
    let SelectedBody { subscription, charge, payment, invoice, checkout, reference, .. } = body;
    let mut references = [subscription, charge, payment, invoice, checkout, reference].into_iter().flatten();
    let (told, found) = match (references.next(), &body.email) {
        (Some(reference), _) => (reference.clone(), of_reference(api, whose, reference).await?),
        (None, Some(email)) => {
            let email = EmailAddress::parse(email);
            let email = email.map_err(|error| Problem::invalid(format!("`email`: {error}.")).of("email"))?;
            (email.as_str().to_owned(), of_address(api, whose, &email).await?)
        }
        (None, None) => {
            let detail = "Say which license: `stripeSubscriptionId`, `stripeChargeId`, `stripePaymentIntentId`, \
                 `stripeInvoiceId`, `stripeSessionId`, `reference`, `license_id` or `email`.";
            return Err(Problem::invalid(detail));
        }
    };
    // Whatever its state: were revoked ones left out, the second call about one license would be about another.
    match &found[..] {
        [one] => Ok(one.license.id),
        [] => Err(Problem::new(Code::NotFound, format!("No license that this API key may see matches `{told}`."))),
        several => {
            let detail = format!(
                "{} licenses match `{told}`. Decide about one of them by its id: POST /v1/licenses/{{id}}/revoke, or \
                 /change-plan.",
                several.len()
            );
            Err(Problem::new(Code::Conflict, detail).matching(matches(api, whose, several).await?))
        }
    }
}

/// The licenses of the sales that a reference names.
async fn of_reference(api: &Api, whose: Whose, reference: &str) -> Result<Vec<ListedLicense>, Problem> {
    let store = &api.engine.store;
    let mut found = Vec::new();
    for name in [Reference::new(reference), Reference::issued(reference)] {
        for order in store.orders_named(whose, &name).await? {
            found.extend(store.order(whose, order).await?.into_iter().flat_map(|(_, licenses)| licenses));
        }
    }
    Ok(holding(found))
}

/// The licenses of a buyer.
async fn of_address(api: &Api, whose: Whose, email: &EmailAddress) -> Result<Vec<ListedLicense>, Problem> {
    let page = Page { limit: LIMIT_MAX, from: None };
    let filter = CustomerFilter { email_normalised: Some(email.normalised()), ..Default::default() };
    let mut found = Vec::new();
    for customer in api.engine.store.list_customers(whose, &filter, page).await?.rows {
        let filter = LicenseFilter { customer: Some(domain::id::CustomerId(customer.id)), ..LicenseFilter::default() };
        found.extend(api.engine.store.list_licenses(whose, &filter, page).await?.rows);
    }
    Ok(holding(found))
}

/// Those that stand for a unit of their sale. Others have no key that opens them, or nothing to take away.
fn holding(found: Vec<ListedLicense>) -> Vec<ListedLicense> {
    found.into_iter().filter(|listed| listed.license.holding == Holding::Unit).collect()
}

async fn matches(api: &Api, whose: Whose, found: &[ListedLicense]) -> Result<Vec<LicenseMatch>, Problem> {
    let mut matches = Vec::with_capacity(found.len());
    for listed in found {
        let offer = api.engine.offer(whose.tenant, listed.license.plan).await?;
        matches.push(LicenseMatch {
            id: listed.license.id.to_string(),
            plan: offer.plan.code.to_string(),
            state: listed.license.standing.state.as_str().to_owned(),
            key_hint: listed.key_hint.clone(),
        });
    }
    Ok(matches)
}
