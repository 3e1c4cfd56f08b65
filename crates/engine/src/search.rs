//! Finds what a person pastes: an address, a key or its end, an id, a provider's reference, a device.

use domain::{
    id::{CustomerId, DeliveryId, InboundId, LicenseId, OrderId, RequestId},
    text::{EmailAddress, Reference},
};
use store::lists::{CustomerFilter, Page, Whose};

use crate::{Engine, Error};

/// What was found: where a person wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    /// A license.
    License(LicenseId),
    /// A buyer.
    Customer(CustomerId),
    /// A sale.
    Order(OrderId),
    /// What a provider delivered.
    Inbound(InboundId),
    /// What was told to a vendor's own system.
    Delivery(DeliveryId),
    /// A call of the API.
    Request(RequestId),
}

/// Hits at most: a search that finds more is to be narrowed.
const HITS_MAX: usize = 50;

impl Engine {
    /// Everything of a vendor, in one mode, that a text names exactly; the nearest meaning alone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn search(&self, whose: Whose, text: &str) -> Result<Vec<Hit>, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(hit) = self.by_id(whose, text).await? {
            return Ok(vec![hit]);
        }
        if text.contains('@') {
            return self.by_address(whose, text).await;
        }
        let mut hits = self.by_key(whose, text).await?;
        if hits.is_empty() {
            for name in [Reference::new(text), Reference::brought(text)] {
                let orders = self.store.orders_named(whose, &name).await?;
                hits.extend(orders.into_iter().map(Hit::Order));
            }
        }
        if hits.is_empty() {
            let events = self.store.inbound_with_key(whose, text).await?;
            hits.extend(events.into_iter().map(Hit::Inbound));
        }
        if hits.is_empty() {
            let licenses = self.store.licenses_used_by(whose, text, HITS_MAX as u64).await?;
            hits.extend(licenses.into_iter().map(Hit::License));
        }
        hits.truncate(HITS_MAX);
        Ok(hits)
    }

    /// What one of our ids names, if it is there.
    async fn by_id(&self, whose: Whose, text: &str) -> Result<Option<Hit>, Error> {
        let store = &self.store;
        let Some((prefix, _)) = text.split_once('_') else { return Ok(None) };
        Ok(match prefix {
            LicenseId::PREFIX => match text.parse() {
                Ok(id) => store.listed_license(whose, id).await?.map(|_| Hit::License(id)),
                Err(_) => None,
            },
            CustomerId::PREFIX => match text.parse() {
                Ok(id) => store.customer(whose, id).await?.map(|_| Hit::Customer(id)),
                Err(_) => None,
            },
            OrderId::PREFIX => match text.parse() {
                Ok(id) => store.order(whose, id).await?.map(|(order, _)| Hit::Order(order.id)),
                Err(_) => None,
            },
            InboundId::PREFIX => match text.parse() {
                Ok(id) => store.inbound_event(whose, id).await?.map(|_| Hit::Inbound(id)),
                Err(_) => None,
            },
            DeliveryId::PREFIX => match text.parse() {
                Ok(id) => store.delivery(whose, id).await?.map(|_| Hit::Delivery(id)),
                Err(_) => None,
            },
            RequestId::PREFIX => match text.parse() {
                Ok(id) => store.request(whose, id).await?.map(|_| Hit::Request(id)),
                Err(_) => None,
            },
            _ => None,
        })
    }

    async fn by_address(&self, whose: Whose, text: &str) -> Result<Vec<Hit>, Error> {
        let Ok(email) = EmailAddress::parse(text) else { return Ok(Vec::new()) };
        let filter = CustomerFilter { email_normalised: Some(email.normalised()), ..Default::default() };
        let page = Page { limit: HITS_MAX as u64, from: None };
        let found = self.store.list_customers(whose, &filter, page).await?;
        Ok(found.rows.into_iter().map(|row| Hit::Customer(CustomerId(row.id))).collect())
    }

    /// A whole key, or its last four or five symbols.
    async fn by_key(&self, whose: Whose, text: &str) -> Result<Vec<Hit>, Error> {
        if let Some(found) = self.license_with_key(text).await? {
            let listed = self.store.listed_license(whose, found.id).await?;
            return Ok(listed.map(|_| Hit::License(found.id)).into_iter().collect());
        }
        let endings = crypto::key::endings(text.trim_start_matches('…'));
        let licenses = self.store.licenses_with_key_end(whose, endings, HITS_MAX).await?;
        Ok(licenses.into_iter().map(Hit::License).collect())
    }
}
