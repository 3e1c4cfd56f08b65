//! A price that is set on a plan is made at the provider, and the one before it is archived (D06): a call that follows from
//! the change of the plan. Prices never change there, so another amount is another price.

use std::collections::BTreeMap;

use domain::{
    decision::{Matcher, QuantityRule},
    id::{ConnectionId, PlanId, TenantId, uuid_v7},
    plan::{AddOn, PlanPrice, PlanTerms},
    text::{PlanCode, PriceReference},
};
use jiff::Timestamp;
use providers::{
    Settings,
    http::is_refusal,
    selling::{NewPrice, Selling},
};
use store::{
    Write,
    calls::{kind, status},
    rows,
};
use uuid::Uuid;

use crate::{
    Dialled, Engine, Error,
    calls::Ended,
    configuration::{ConfigurationError, Existing, GrantInput, PriceRuleInput},
    connections::{Connection, Mode, open_secrets},
    rulings::By,
};

/// A price that was not made, or not archived.
const FAILED: &str = "price_failed";
/// Who makes prices, archives them, and makes the rules of those that were made, in the audit log.
const ACTOR: &str = "keywright";

/// What is to be done so that prices are as plans say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Following {
    made: Vec<(ConnectionId, PlanId, PlanPrice)>,
    retired: Vec<Uuid>,
}

/// How far a provider has come with the price of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceStanding {
    /// It is there, under this name.
    Made(PriceReference),
    /// It is to be made, and is tried (again) then.
    Waits {
        /// Why it was not made with the last try, and what to do about it.
        problem: Option<String>,
        /// When it is tried.
        again_at: Timestamp,
    },
    /// It was given up: why.
    Refused(String),
}

/// The price of a plan at one connection.
#[derive(Clone, Debug)]
pub struct PriceThere {
    /// Which plan.
    pub plan: PlanId,
    /// Which connection.
    pub connection: ConnectionId,
    /// How far it is.
    pub standing: PriceStanding,
}

/// Compares what plans say with the prices that are there. Each plan has one price at each connection that sells, of live
/// money and of test money: a key that was given for looking things up makes none. What is sold at a connection that sells no more stays as it is.
fn follow(
    plans: &BTreeMap<PlanId, Option<PlanPrice>>,
    selling: &[ConnectionId],
    there: &[(Uuid, ConnectionId, PlanId, PlanPrice)],
) -> Following {
    let wanted = |plan: &PlanId| plans.get(plan).copied().flatten();
    let is_right = |plan: &PlanId, price: &PlanPrice| wanted(plan) == Some(*price);
    let retired = there.iter().filter(|(_, _, plan, price)| !is_right(plan, price)).map(|(id, ..)| *id).collect();
    let each = plans.iter().filter_map(|(plan, price)| Some((*plan, (*price)?)));
    let each = each.flat_map(|(plan, price)| selling.iter().map(move |connection| (*connection, plan, price)));
    let is_there = |(connection, plan, price): &(ConnectionId, PlanId, PlanPrice)| {
        there.iter().any(|(_, at, of, is)| (at, of, is) == (connection, plan, price))
    };
    Following { made: each.filter(|price| !is_there(price)).collect(), retired }
}

/// What a plan costs.
pub(crate) fn price_of(row: &rows::Plan) -> Option<PlanPrice> {
    serde_json::from_str::<PlanTerms>(&row.terms).ok()?.price
}

/// Which of several connections of one mode sells: the first in this order. What is connected before what was disconnected,
/// a connected account before a key of the vendor's own.
pub(crate) const fn rank(settings: &Settings) -> (bool, bool) {
    (settings.disconnected, settings.account.is_none())
}

/// The provider's way to sell, for a connection that may.
pub(crate) fn sells(connection: &Connection) -> Option<&'static dyn Selling> {
    let may = connection.api_key.is_some() && !connection.settings.platform && !connection.settings.disconnected;
    connection.provider.selling().filter(|_| may)
}

impl Engine {
    /// Has prices made and archived as the tenant's plans say now.
    pub(crate) async fn follow_prices(&self, write: &Write, tenant: TenantId, now: Timestamp) -> Result<(), Error> {
        let plans = write.current_plans(tenant).await?;
        let plans: BTreeMap<PlanId, Option<PlanPrice>> =
            plans.iter().map(|row| (PlanId(row.id), price_of(row))).collect();
        let there = write.plan_prices(tenant).await?.into_iter().filter(|row| row.retired_at.is_none());
        let there = there
            .map(|row| {
                let price = serde_json::from_str(&row.price).map_err(Error::Document)?;
                Ok((row.id, ConnectionId(row.connection_id), PlanId(row.plan_id), price))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        // Most plans have no price here: then nothing is to be known about connections.
        if there.is_empty() && plans.values().all(Option::is_none) {
            return Ok(());
        }
        let selling = self.selling_of(&write.lock_connections(tenant).await?)?;
        let Following { made, retired } = follow(&plans, &selling, &there);
        let (mut rows, mut calls) = (Vec::new(), Vec::new());
        for (connection, plan, price) in made {
            let id = uuid_v7(now, &mut *self.entropy());
            let price = serde_json::to_string(&price).map_err(Error::Document)?;
            let created_at = now.as_microsecond();
            let (tenant_id, connection_id, plan_id) = (tenant.0, connection.0, plan.0);
            let (reference, asked_at, retired_at) = (None, None, None);
            rows.push(rows::PlanPrice {
                id,
                tenant_id,
                plan_id,
                connection_id,
                price,
                reference,
                asked_at,
                created_at,
                retired_at,
            });
            calls.push(self.call(tenant, connection, id, now));
        }
        write.add_plan_prices(rows).await?;
        write.add_calls(calls).await?;
        for id in retired {
            write.retire_plan_price(id, now).await?;
            write.make_call_again(id, now).await?;
        }
        Ok(())
    }

    /// The prices that a tenant's plans have now, wherever they are sold, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prices_there(&self, tenant: TenantId) -> Result<Vec<PriceThere>, Error> {
        let mut there = Vec::new();
        for row in self.store.plan_prices(tenant).await?.iter().filter(|row| row.retired_at.is_none()) {
            let (plan, connection) = (PlanId(row.plan_id), ConnectionId(row.connection_id));
            there.push(PriceThere { plan, connection, standing: self.standing_of(row).await? });
        }
        Ok(there)
    }

    pub(crate) async fn standing_of(&self, row: &rows::PlanPrice) -> Result<PriceStanding, Error> {
        if let Some(reference) = &row.reference {
            return Ok(PriceStanding::Made(PriceReference::new(reference.as_str())));
        }
        let call = self.store.call_about(row.id).await?;
        let (error, again_at) = call.map_or((None, Some(row.created_at)), |call| (call.error, call.next_attempt_at));
        let again_at = again_at.map(|micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX));
        Ok(match (error, again_at) {
            (Some(problem), None) => PriceStanding::Refused(problem),
            (problem, again_at) => PriceStanding::Waits { problem, again_at: again_at.unwrap_or_else(|| self.now()) },
        })
    }

    /// The connections that sell, one for live and one for test money, of those of a tenant as they are stored.
    fn selling_of(&self, rows: &[rows::Connection]) -> Result<Vec<ConnectionId>, Error> {
        let mut sellers = Vec::new();
        for row in rows {
            let settings: Settings = serde_json::from_str(&row.settings).map_err(Error::Document)?;
            let sells = providers::by_slug(&row.provider).is_some_and(|provider| provider.selling().is_some());
            if !sells || settings.platform {
                continue;
            }
            if settings.account.is_some() || open_secrets(row, &self.ring())?.api_key.is_some() {
                sellers.push((Mode::read(&row.mode).is_live(), rank(&settings), ConnectionId(row.id)));
            }
        }
        let first_of =
            |is_live: bool| sellers.iter().filter(|(live, ..)| *live == is_live).min_by_key(|(_, rank, _)| *rank);
        let connected =
            [true, false].into_iter().filter_map(first_of).filter(|(_, (is_disconnected, _), _)| !is_disconnected);
        Ok(connected.map(|(.., id)| *id).collect())
    }

    fn call(&self, tenant: TenantId, connection: ConnectionId, price: Uuid, now: Timestamp) -> rows::ProviderCall {
        rows::ProviderCall {
            id: uuid_v7(now, &mut *self.entropy()),
            tenant_id: tenant.0,
            connection_id: connection.0,
            kind: kind::PRICE.to_owned(),
            subject_id: price,
            customer: String::new(),
            status: status::PENDING.to_owned(),
            attempts: 0,
            refusals: 0,
            next_attempt_at: Some(now.as_microsecond()),
            lease_token: None,
            lease_until: None,
            error: None,
            created_at: now.as_microsecond(),
            done_at: None,
        }
    }

    /// Brings the provider in line with one price: it is made, or archived.
    pub(crate) async fn settle_price(
        &self,
        connection: &Connection,
        call: &mut rows::ProviderCall,
    ) -> Result<Ended, Error> {
        let Some(row) = self.store.plan_price(call.subject_id).await? else {
            return Ok(Ended::Dropped("the price is gone".to_owned()));
        };
        let Some(selling) = sells(connection) else {
            return Ok(cannot_sell(connection));
        };
        let reference = match &row.reference {
            Some(reference) => PriceReference::new(reference.as_str()),
            None if row.retired_at.is_some() && row.asked_at.is_none() => return Ok(Ended::Done),
            // Whether it is there is not known where an answer was lost: asked again in the same words, the provider says so.
            None => match self.make_price(connection, selling, (call, &row)).await? {
                Ok(reference) => reference,
                Err(Ended::Refused(_)) if row.retired_at.is_some() => return Ok(Ended::Done),
                Err(ended) => return Ok(ended),
            },
        };
        match row.retired_at {
            Some(_) => self.archive_price(connection, selling, (call, &row), &reference).await,
            None => self.keep_price(connection, &row, &reference).await,
        }
    }

    async fn archive_price(
        &self,
        connection: &Connection,
        selling: &dyn Selling,
        (call, row): (&mut rows::ProviderCall, &rows::PlanPrice),
        reference: &PriceReference,
    ) -> Result<Ended, Error> {
        if row.reference.is_none() {
            let write = self.store.begin().await?;
            write.name_plan_price(row.id, reference.as_str()).await?;
            let told = self.told_of_price(connection, row, reference, "price.made")?;
            crate::audit::add(&write, vec![told]).await?;
            write.commit().await?;
        }
        let ended = match self.ask_for(connection, call, selling.archive_price(reference)).await {
            Ok(dialled) => Ended::of(&dialled),
            Err(error) => Ended::Again(error.to_string(), None),
        };
        if matches!(ended, Ended::Done) {
            let write = self.store.begin().await?;
            let told = self.told_of_price(connection, row, reference, "price.archived")?;
            crate::audit::add(&write, vec![told]).await?;
            write.commit().await?;
        }
        Ok(ended)
    }

    /// The entry that tells what was done about a price at the provider.
    fn told_of_price(
        &self,
        connection: &Connection,
        row: &rows::PlanPrice,
        reference: &PriceReference,
        action: &str,
    ) -> Result<rows::AuditEntry, Error> {
        let price: PlanPrice = serde_json::from_str(&row.price).map_err(Error::Document)?;
        let detail = serde_json::json!({ "connection": connection.code, "reference": reference, "price": price });
        let (tenant, plan) = (TenantId(row.tenant_id), PlanId(row.plan_id).to_string());
        let by = By { actor: ACTOR.to_owned(), note: None };
        Ok(self.told(tenant, action, plan, None, &detail, &by))
    }

    async fn make_price(
        &self,
        connection: &Connection,
        selling: &dyn Selling,
        (call, row): (&mut rows::ProviderCall, &rows::PlanPrice),
    ) -> Result<Result<PriceReference, Ended>, Error> {
        let Some(plan) = self.plan_of(row).await? else {
            return Ok(Err(Ended::Dropped("the plan is gone".to_owned())));
        };
        let price: PlanPrice = serde_json::from_str(&row.price).map_err(Error::Document)?;
        let (code, attempt) = (PlanCode::new(plan.code.as_str()), row.id.to_string());
        if row.asked_at.is_none() {
            self.note_asked(row.id, Some(self.now())).await?;
        }
        let new = NewPrice { plan: &code, name: &plan.name, price: &price, attempt: &attempt };
        let dialled = match self.ask_for(connection, call, selling.create_price(&new)).await {
            Ok(dialled) => dialled,
            Err(error) => return Ok(Err(Ended::Again(error.to_string(), None))),
        };
        let Dialled { status, body, retry_after_seconds } = dialled;
        if is_refusal(status) {
            // Should nobody want the price any more, there is none to archive.
            self.note_asked(row.id, None).await?;
        }
        let created = selling.price_created(status, &body);
        Ok(created.map_err(|refused| Ended::not_done(status, refused.to_string(), retry_after_seconds)))
    }

    async fn note_asked(&self, price: Uuid, asked_at: Option<Timestamp>) -> Result<(), Error> {
        let once = || async {
            let write = self.store.begin().await?;
            write.ask_plan_price(price, asked_at).await?;
            Ok::<_, Error>(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await
    }

    /// The plan as it was when its price was set: a price that is asked for once more is asked for in the same words.
    async fn plan_of(&self, row: &rows::PlanPrice) -> Result<Option<rows::Plan>, Error> {
        let mut versions = self.store.plans(TenantId(row.tenant_id)).await?;
        versions.retain(|plan| plan.id == row.plan_id);
        let then = versions.iter().rposition(|plan| plan.created_at <= row.created_at).unwrap_or_default();
        Ok(versions.into_iter().nth(then))
    }

    /// What a person is told of a price that was not made or not archived.
    pub(crate) async fn price_failed(&self, call: &rows::ProviderCall, problem: &str) -> Result<String, Error> {
        let row = self.store.plan_price(call.subject_id).await?;
        let plan = match &row {
            Some(row) => self.plan_of(row).await?,
            None => None,
        };
        let plan = plan.map_or_else(|| "a plan that is gone".to_owned(), |plan| format!("the plan `{}`", plan.code));
        let (price, done, or) = match row.and_then(|row| row.retired_at) {
            Some(_) => ("a former price", "archived", "archive it there by hand"),
            None => ("the price", "made", "set another price on the plan"),
        };
        Ok(format!(
            "{price} of {plan} was not {done} at the provider: {problem}; put that right, then change the connection, and it is \
             tried again, or {or}"
        ))
    }

    /// Notes what the provider calls the price, and makes a rule for it, so that a sale that names no plan finds it too.
    /// Twice changes nothing.
    async fn keep_price(
        &self,
        connection: &Connection,
        row: &rows::PlanPrice,
        reference: &PriceReference,
    ) -> Result<Ended, Error> {
        let write = self.store.begin().await?;
        let named = write.name_plan_price(row.id, reference.as_str()).await?;
        let is_retired = named.is_some_and(|row| row.retired_at.is_some());
        if is_retired {
            // It was made while somebody changed the plan, and is to be archived.
            write.make_call_again(row.id, self.now()).await?;
        }
        if row.reference.is_none() {
            let told = self.told_of_price(connection, row, reference, "price.made")?;
            crate::audit::add(&write, vec![told]).await?;
        }
        write.commit().await?;
        let Some(plan) = self.plan_of(row).await?.filter(|_| !is_retired) else { return Ok(Ended::Done) };
        let input = PriceRuleInput {
            connection: connection.code.clone(),
            matcher: Matcher::Price(reference.clone()),
            grants: vec![GrantInput { plan: plan.code, quantity: QuantityRule::default() }],
            adds: AddOn::default(),
            from: None,
            until: None,
        };
        match self.save_price_rule(TenantId(row.tenant_id), input, Existing::Either, ACTOR).await {
            Ok(_) => Ok(Ended::Done),
            Err(ConfigurationError::Engine(error)) => Err(error),
            Err(refused) => Ok(Ended::Refused(refused.to_string())),
        }
    }
}

fn cannot_sell(connection: &Connection) -> Ended {
    let (settings, code) = (&connection.settings, &connection.code);
    match connection.api_key.is_none() && !settings.platform && !settings.disconnected {
        true if settings.account.is_some() => Ended::Waits(format!(
            "`{code}` is reached with a platform's key, and this server has none; the operator sets it"
        )),
        true => Ended::Waits(format!("`{code}` has no API key; give it one")),
        false => Ended::Refused(format!("nothing can be sold by `{code}` at present")),
    }
}

/// The kind and the subject of the item about a price that was not made or not archived.
pub(crate) fn about(call: &rows::ProviderCall) -> (&'static str, String) {
    (FAILED, format!("price/{}", call.subject_id))
}

#[cfg(test)]
mod tests {
    use domain::{
        money::{Currency, Money},
        plan::Interval,
    };

    use super::*;

    fn price(minor: i64, every: Option<Interval>) -> PlanPrice {
        PlanPrice { money: Money::new(minor, Currency::parse("EUR")), every }
    }

    #[test]
    fn another_price_takes_the_place_of_the_one_before() {
        let id = Uuid::from_u128;
        let (plan, live, test) = (PlanId(id(1)), ConnectionId(id(2)), ConnectionId(id(3)));
        let (old, new, monthly) = (price(4_900, None), price(5_900, None), price(4_900, Some(Interval::Month)));
        let at_live = (id(9), live, plan, old);
        for (what, wanted, selling, there, made, retired) in [
            ("nothing is sold", None, vec![live], vec![], vec![], vec![]),
            ("nobody sells", Some(old), vec![], vec![], vec![], vec![]),
            ("it is new", Some(old), vec![live], vec![], vec![(live, old)], vec![]),
            ("it is there", Some(old), vec![live], vec![at_live], vec![], vec![]),
            ("another connection sells", Some(old), vec![test], vec![at_live], vec![(test, old)], vec![]),
            ("it costs more", Some(new), vec![live], vec![at_live], vec![(live, new)], vec![id(9)]),
            ("it costs more elsewhere", Some(new), vec![test], vec![at_live], vec![(test, new)], vec![id(9)]),
            ("it is paid every month", Some(monthly), vec![live], vec![at_live], vec![(live, monthly)], vec![id(9)]),
            ("it is sold no more", None, vec![live], vec![at_live], vec![], vec![id(9)]),
            ("its connection sells no more", Some(old), vec![], vec![at_live], vec![], vec![]),
            ("live and test", Some(old), vec![live, test], vec![at_live], vec![(test, old)], vec![]),
        ] {
            let made = made.into_iter().map(|(connection, price)| (connection, plan, price)).collect();
            let plans = BTreeMap::from([(plan, wanted)]);
            assert_eq!(follow(&plans, &selling, &there), Following { made, retired }, "{what}");
        }
    }
}
