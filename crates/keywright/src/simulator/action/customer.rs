//! What becomes of a buyer whom the provider keeps.

use super::{
    super::{
        account::{Account, Buyer, Customer, Event, Status, Subscription},
        happening::Happening,
    },
    Impossible, impossible,
};

impl Account {
    pub(super) fn change_customer(
        &mut self,
        subscription: &str,
        address: &str,
        now: i64,
    ) -> Result<Vec<Event>, Impossible> {
        let before = self.subscriber(subscription)?;
        let is_known = before.buyer.email == address;
        let address = if is_known { format!("new.{address}") } else { address.to_owned() };
        let after = Customer { buyer: Buyer::of(&address), ..before.clone() };
        self.customers.insert(after.id.clone(), after);
        Ok(self.tell(&Happening::CustomerChanged { before: Box::new(before) }, now))
    }

    /// What runs for a customer ends with it.
    pub(super) fn delete_customer(&mut self, subscription: &str, now: i64) -> Result<Vec<Event>, Impossible> {
        let customer = self.subscriber(subscription)?;
        let is_running = |one: &&mut Subscription| one.customer == customer.id && one.status != Status::Canceled;
        let mut ended = Vec::new();
        let mut told_at = now;
        for subscription in self.subscriptions.values_mut().filter(is_running) {
            told_at = told_at.max(subscription.next_moment(now));
            ended.push(subscription.clone());
            subscription.status = Status::Canceled;
            subscription.canceled_at = Some(now);
            subscription.ended_at = Some(now);
        }
        self.customers.remove(&customer.id);
        Ok(self.tell(&Happening::CustomerDeleted { customer: Box::new(customer), ended }, told_at))
    }

    fn subscriber(&self, subscription: &str) -> Result<Customer, Impossible> {
        let customer = self.subscriptions.get(subscription).and_then(|found| self.customers.get(&found.customer));
        match customer {
            None => impossible(format!("the customer of {subscription} is deleted")),
            Some(customer) => Ok(customer.clone()),
        }
    }
}
