//! Events: what happened, written down with the change that causes it, and sent on its way to the vendor's own systems.

use std::collections::BTreeSet;

use domain::{
    Entropy,
    event::{
        CustomerTold, DisputeTold, EventData, EventKind, LicenseTold, OrderTold, Previous, RefundTold, ScheduledTold,
        WantedKinds,
    },
    id::{CustomerId, DeliveryId, EventId, LicenseId, OrderId, TenantId},
    license::{License, Standing},
    order::{Contact, DisputeState, Order},
    plan::{Limits, Plan},
    text::Reference,
};
use jiff::Timestamp;
use store::{
    StoredOrder, Write, deliveries,
    rows::{Delivery, Event, WebhookEndpoint},
    webhook_endpoints::status,
};

use crate::{Error, catalogue::Shelf, connections::Connection};

/// What an event is about.
pub(crate) struct News {
    pub(crate) tenant: TenantId,
    pub(crate) livemode: bool,
    pub(crate) kind: EventKind,
    pub(crate) license: Option<LicenseId>,
    pub(crate) order: Option<OrderId>,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) data: EventData,
}

impl News {
    /// The row of it.
    pub(crate) fn row(self, now: Timestamp, entropy: &mut dyn Entropy) -> Result<Event, Error> {
        Ok(Event {
            id: EventId::new(now, entropy).0,
            tenant_id: self.tenant.0,
            livemode: self.livemode,
            kind: self.kind.as_str().to_owned(),
            license_id: self.license.map(|id| id.0),
            order_id: self.order.map(|id| id.0),
            customer_id: self.customer.map(|id| id.0),
            body: serde_json::to_string(&self.data).map_err(Error::Document)?,
            example: self.data.example,
            occurred_at: now.as_microsecond(),
        })
    }
}

/// Writes events down, and a delivery for each address that wants one. Of what happens all the time with real customers, only
/// what somebody wants is kept. Returns whether there is anything to deliver.
pub(crate) async fn add(
    write: &Write,
    mut events: Vec<Event>,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Result<bool, Error> {
    if events.is_empty() {
        return Ok(false);
    }
    let tenants: BTreeSet<TenantId> = events.iter().map(|event| TenantId(event.tenant_id)).collect();
    let endpoints: Vec<Receiver> = write.endpoints_of(&tenants).await?.into_iter().map(Receiver::new).collect();
    let mut added = Vec::new();
    events.retain(|event| {
        let Ok(kind) = event.kind.parse::<EventKind>() else { return true };
        let before = added.len();
        let wanting = endpoints.iter().filter(|endpoint| endpoint.wants(event, kind));
        added.extend(wanting.map(|endpoint| endpoint.delivery(event, now, entropy)));
        !kind.is_activity() || !event.livemode || added.len() > before
    });
    let any = !added.is_empty();
    write.add_events(events).await?;
    write.add_deliveries(added).await?;
    Ok(any)
}

/// An address, as far as it matters for which events go there.
struct Receiver {
    row: WebhookEndpoint,
    wanted: WantedKinds,
}

impl Receiver {
    fn new(row: WebhookEndpoint) -> Self {
        Self { wanted: WantedKinds::stored(&row.kinds), row }
    }

    fn wants(&self, event: &Event, kind: EventKind) -> bool {
        self.row.tenant_id == event.tenant_id && self.row.livemode == event.livemode && self.wanted.has(kind)
    }

    fn delivery(&self, event: &Event, now: Timestamp, entropy: &mut dyn Entropy) -> Delivery {
        let is_called = self.row.status == status::ENABLED;
        Delivery {
            status: if is_called { deliveries::status::PENDING } else { deliveries::status::HELD }.to_owned(),
            next_attempt_at: is_called.then_some(now.as_microsecond()),
            ..delivery(self.row.id, event, deliveries::cause::EVENT, now, entropy)
        }
    }
}

/// A delivery that is due at once.
pub(crate) fn delivery(
    endpoint: uuid::Uuid,
    event: &Event,
    cause: &str,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Delivery {
    Delivery {
        id: DeliveryId::new(now, entropy).0,
        tenant_id: event.tenant_id,
        endpoint_id: endpoint,
        event_id: event.id,
        license_id: event.license_id,
        status: deliveries::status::PENDING.to_owned(),
        cause: cause.to_owned(),
        attempts: 0,
        next_attempt_at: Some(now.as_microsecond()),
        last_status: None,
        error: None,
        created_at: now.as_microsecond(),
        done_at: None,
    }
}

/// A sale with its licenses, as events tell it.
pub(crate) struct Sale<'a> {
    pub(crate) order: &'a StoredOrder,
    pub(crate) shelf: &'a Shelf,
    pub(crate) connection: &'a Connection,
    pub(crate) address: Option<&'a Contact>,
}

impl Sale<'_> {
    pub(crate) fn of_license(&self, kind: EventKind, license: &License, previous: Option<Previous>) -> News {
        let data = EventData { license: self.license(license), previous, ..self.data() };
        News { license: Some(license.id), data, ..self.of_order(kind) }
    }

    pub(crate) fn of_order(&self, kind: EventKind) -> News {
        News {
            tenant: self.order.tenant,
            livemode: self.order.livemode,
            kind,
            license: None,
            order: Some(self.order.id),
            customer: self.order.customer,
            data: self.data(),
        }
    }

    fn data(&self) -> EventData {
        EventData { order: Some(self.order()), customer: self.customer(), ..EventData::default() }
    }

    fn license(&self, license: &License) -> Option<LicenseTold> {
        let plan = self.shelf.catalogue.plan(license.plan)?;
        let product = self.shelf.products.get(&license.plan.product)?;
        let limits = license.limits(&plan.terms.limits);
        Some(license_told(license.id, &license.standing, license.unit.seats, &limits, plan, &product.code))
    }

    fn order(&self) -> OrderTold {
        let order = &self.order.order;
        OrderTold {
            id: self.order.id,
            connection: self.connection.code.as_str().into(),
            references: order.references.iter().map(|reference| reference.as_str().into()).collect(),
            refunded: refunded(order),
            disputes: disputes(order),
        }
    }

    fn customer(&self) -> Option<CustomerTold> {
        let address = self.address?;
        Some(CustomerTold {
            id: self.order.customer,
            reference: self.order.order.customers.first().map(|customer| customer.as_str().into()),
            email: Some(address.email.as_str().into()),
            name: address.name.clone(),
        })
    }
}

/// A license, as events tell it.
pub(crate) fn license_told(
    id: LicenseId,
    standing: &Standing,
    seats: u32,
    limits: &Limits,
    plan: &Plan,
    product: &str,
) -> LicenseTold {
    LicenseTold {
        id,
        state: standing.state.as_str().into(),
        reason: standing.reason.code().into(),
        because: standing.reason.sentence().into(),
        at_risk: standing.at_risk,
        product: product.into(),
        product_id: plan.version.product,
        plan: plan.code.as_str().into(),
        plan_id: plan.version.plan,
        seats,
        activations_max: limits.activations,
        features: limits.features.iter().map(|feature| feature.as_str().into()).collect(),
        until: standing.until,
        scheduled: standing
            .scheduled
            .map(|scheduled| ScheduledTold { state: scheduled.state.as_str().into(), at: scheduled.at }),
    }
}

/// What became of the money of a sale, to see what a batch has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aftermath {
    refunded: Vec<RefundTold>,
    disputes: Vec<DisputeTold>,
}

impl Aftermath {
    /// Nothing, before anything was sold: what comes before its sale is told with it.
    pub(crate) fn of(order: &Order) -> Self {
        if order.sold_at().is_none() {
            return Self::default();
        }
        Self { refunded: refunded(order), disputes: disputes(order) }
    }

    /// What is to be told of the difference.
    pub(crate) fn since(&self, before: &Self) -> impl Iterator<Item = EventKind> {
        let refunded = (self.refunded != before.refunded).then_some(EventKind::OrderRefunded);
        let disputed = (self.disputes != before.disputes).then_some(EventKind::OrderDisputed);
        refunded.into_iter().chain(disputed)
    }
}

fn refunded(order: &Order) -> Vec<RefundTold> {
    let payments: BTreeSet<&Reference> = order.refunds.values().map(|refund| &refund.value.payment).collect();
    let mut told: Vec<(&Reference, RefundTold)> = Vec::new();
    for payment in payments {
        let amount = order.refunded(payment);
        if amount == 0 || told.iter().any(|(other, _)| order.payments.same(other, payment)) {
            continue;
        }
        let of_payment = order.refunds.values().find(|refund| refund.value.payment == *payment);
        let currency = of_payment.map(|refund| refund.value.amount.currency.code().into()).unwrap_or_default();
        told.push((payment, RefundTold { payment: payment.as_str().into(), amount, currency }));
    }
    told.into_iter().map(|(_, told)| told).collect()
}

fn disputes(order: &Order) -> Vec<DisputeTold> {
    let state = |state| match state {
        DisputeState::Inquiry => "inquiry",
        DisputeState::Open => "open",
        DisputeState::Lost => "lost",
        DisputeState::Won => "won",
    };
    order
        .disputes
        .iter()
        .map(|(id, dispute)| DisputeTold { id: id.as_str().into(), state: state(dispute.state).into() })
        .collect()
}
