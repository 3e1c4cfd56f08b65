//! What happens to the money of a sale afterwards: refunds and disputes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Order;
use crate::{
    join::{Join, Register, Stamp, keep_larger},
    money::Money,
    text::Reference,
};

impl Order {
    /// What was given back of this payment.
    ///
    /// Refunds that have ids are summed as far as they succeeded. Where the provider (also) tells a total, refunds
    /// nobody told us of by name may hide in it: what the named ones do not account for counts as well. A total is what
    /// had gone back when it was told, so a refund that failed before that is not in it and accounts for nothing.
    /// Whether a vendor listens to totals, to refunds by name or to both, in any order, the sum is the same.
    #[must_use]
    pub fn refunded(&self, payment: &Reference) -> i64 {
        let of_payment = || self.refunds.values().filter(|refund| self.payments.same(&refund.value.payment, payment));
        let told_at = of_payment().filter(|refund| refund.value.cumulative).map(|refund| refund.stamp.at).max();
        let (mut told, mut named, mut succeeded) = (0i64, 0i64, 0i64);
        let mut whole = 0;
        for Register { value: refund, .. } in of_payment() {
            let minor = refund.amount.minor;
            if refund.whole {
                whole = minor.max(whole);
                continue;
            }
            if refund.cumulative {
                told = told.saturating_add(minor);
                continue;
            }
            if refund.state == RefundState::Succeeded {
                succeeded = succeeded.saturating_add(minor);
            }
            let failed_before = refund.failed_at.is_some_and(|failed| told_at.is_some_and(|told| failed.0 < told));
            if !failed_before {
                named = named.saturating_add(minor);
            }
        }
        let told = told.saturating_add(whole);
        succeeded.saturating_add(told.saturating_sub(named).max(0))
    }
}

impl Order {
    /// What is held against this payment: disputes that are open or lost. A return that does not say of which dispute it is
    /// counts against the first that nothing else won, so money that was taken twice and came back once is lost once.
    pub fn disputes_of<'a>(&'a self, payment: &'a Reference) -> impl Iterator<Item = (&'a Reference, &'a Dispute)> {
        let of_payment = || self.disputes.iter().filter(|(_, dispute)| self.payments.same(&dispute.payment, payment));
        let returned = of_payment().filter(|(_, dispute)| dispute.returns).count();
        let won = of_payment().filter(|(_, dispute)| !dispute.returns && dispute.state == DisputeState::Won).count();
        let open = of_payment().filter(|(_, dispute)| dispute.state == DisputeState::Open);
        let lost = of_payment().filter(|(_, dispute)| dispute.state == DisputeState::Lost);
        // Where a dispute itself is told to be won, its return is the same money.
        open.chain(lost.skip(returned.saturating_sub(won)))
    }
}

/// How far a refund has come: its states are a chain, and a success can still be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Asked for; nothing has moved.
    Pending,
    /// The money went back.
    Succeeded,
    /// It did not arrive, was cancelled or rejected.
    Failed,
}

/// Money given back: one refund, or all that had gone back of a payment at some moment. A refund with an id of its own
/// has one constant stamp, so that its states decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refund {
    /// How far it has come.
    pub state: RefundState,
    /// How much.
    pub amount: Money,
    /// Of which payment.
    pub payment: Reference,
    /// It is all that had gone back of this payment when it was told, not one refund.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cumulative: bool,
    /// Such a total under one of several names of the payment (an order and its first invoice): they tell of the same money,
    /// so the largest counts, and not their sum.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// When it was told to have failed, where that is known: totals told later leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<FirstTold>,
}

impl Refund {
    /// A refund that has an id: its states are ordered by themselves, so every telling shares one stamp.
    #[must_use]
    pub fn by_id(state: RefundState, amount: Money, payment: Reference) -> Register<Self> {
        let refund = Self { state, amount, payment, cumulative: false, whole: false, failed_at: None };
        Register::new(Stamp::at(Timestamp::UNIX_EPOCH), refund)
    }

    /// A refund that has an id and failed, told at that moment.
    #[must_use]
    pub fn failed(at: Timestamp, amount: Money, payment: Reference) -> Register<Self> {
        let mut register = Self::by_id(RefundState::Failed, amount, payment);
        register.value.failed_at = Some(FirstTold(at));
        register
    }

    /// A payment's refunded total as of a moment; later totals replace earlier ones.
    #[must_use]
    pub fn total(stamp: Stamp, amount: Money, payment: Reference) -> Register<Self> {
        let state = RefundState::Succeeded;
        Register::new(stamp, Self { state, amount, payment, cumulative: true, whole: false, failed_at: None })
    }

    /// As [`Refund::total`], told under one of several names of the payment.
    #[must_use]
    pub fn whole(stamp: Stamp, amount: Money, payment: Reference) -> Register<Self> {
        let mut register = Self::total(stamp, amount, payment);
        register.value.whole = true;
        register
    }
}

/// When something was told first: of two tellings the earlier one is the larger, so that it stays in a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FirstTold(#[serde(with = "crate::time::micros")] pub Timestamp);

impl Ord for FirstTold {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0)
    }
}

impl PartialOrd for FirstTold {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// How far a dispute has come. A lost one can still be won on appeal, never the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// The bank asks; no money has moved.
    Inquiry,
    /// The money is held.
    Open,
    /// The buyer's bank kept it.
    Lost,
    /// It came back.
    Won,
}

/// A payment that the buyer's bank questions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dispute {
    /// How far it has come.
    pub state: DisputeState,
    /// Which payment.
    pub payment: Reference,
    /// It is the return of the money of another dispute of this payment, and does not name which.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returns: bool,
}

impl Join for Dispute {
    fn join(&mut self, other: Self) {
        keep_larger(self, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn euros(minor: i64) -> Money {
        Money::new(minor, Currency::parse("eur"))
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// What one telling says: `c<total>@<second>` is a charge's total, the rest are refunds by name; `whole` is a total under
    /// one of the payment's names.
    fn told(telling: &str) -> Order {
        let (what, at) = telling.split_once('@').expect("a moment");
        let at = second(at.parse().expect("seconds"));
        let word: Vec<&str> = what.split(' ').collect();
        let amount = euros(word[1].parse().expect("an amount"));
        let (key, payment) = (Reference::from(word[0]), Reference::from("pi"));
        let refund = match word.get(2) {
            None => Refund::total(Stamp::at(at), amount, payment),
            Some(&"pending") => Refund::by_id(RefundState::Pending, amount, payment),
            Some(&"whole") => Refund::whole(Stamp::at(at), amount, payment),
            Some(&"failed") => Refund::failed(at, amount, payment),
            Some(_) => Refund::by_id(RefundState::Succeeded, amount, payment),
        };
        Order { refunds: [(key, refund)].into(), ..Order::default() }
    }

    #[test]
    fn refunds_by_name_and_totals_come_to_the_same_sum() {
        let table: &[(&str, &[&str], i64)] = &[
            ("totals alone", &["ch 10@1", "ch 30@5"], 30),
            ("names alone", &["re_1 10 ok@1", "re_2 20 ok@5"], 30),
            ("both", &["ch 10@1", "re_1 10 ok@1", "ch 30@5", "re_2 20 ok@5"], 30),
            ("both, the second by its total only", &["ch 10@1", "re_1 10 ok@1", "ch 30@5"], 30),
            ("both, the second by its name only", &["ch 10@1", "re_1 10 ok@1", "re_2 20 ok@5"], 30),
            ("pending and not yet sent", &["re_1 10 pending@1"], 0),
            ("pending, counted in the total", &["ch 10@1", "re_1 10 pending@1"], 0),
            ("pending, then sent", &["ch 10@1", "re_1 10 pending@1", "re_1 10 ok@3"], 10),
            ("failed later, names alone", &["re_1 10 ok@1", "re_1 10 failed@9"], 0),
            ("failed later, both", &["ch 10@1", "re_1 10 ok@1", "re_1 10 failed@9"], 0),
            ("failed later, and the total says so", &["ch 10@1", "ch 0@9"], 0),
            ("failed later, all say so", &["ch 10@1", "re_1 10 ok@1", "re_1 10 failed@9", "ch 0@10"], 0),
            (
                "one of two failed, both",
                &["ch 10@1", "re_1 10 ok@1", "ch 30@5", "re_2 20 ok@5", "re_1 10 failed@9"],
                20,
            ),
            ("only failures have names", &["ch 10@1", "ch 30@5", "re_1 10 failed@9"], 20),
            ("failed and done again, only failures have names", &["ch 10@1", "re_1 10 failed@5", "ch 10@9"], 10),
            (
                "failed and done again, both",
                &["ch 10@1", "re_1 10 ok@1", "re_1 10 failed@5", "ch 10@9", "re_2 10 ok@9"],
                10,
            ),
            ("told twice to have failed", &["ch 10@1", "re_1 10 failed@5", "ch 10@9", "re_1 10 failed@12"], 10),
            ("one total under two names", &["order 10 whole@1", "in 10 whole@1"], 10),
            ("of two names one knows more", &["order 10 whole@1", "in 30 whole@5"], 30),
            ("of two names one knows less since", &["order 30 whole@1", "in 10 whole@5"], 30),
            ("each name knows more later", &["order 10 whole@1", "in 10 whole@1", "order 30 whole@5"], 30),
            (
                "absurd amounts do not overflow",
                &["ch 9223372036854775807@1", "re_1 9223372036854775807 ok@1"],
                i64::MAX,
            ),
        ];
        for (name, tellings, sum) in table {
            for order in permutations(tellings) {
                let mut known = Order::default();
                for telling in &order {
                    known.join(told(telling));
                    known.join(told(telling));
                }
                assert_eq!(known.refunded(&Reference::from("pi")), *sum, "{name}: {order:?}");
            }
        }
    }

    fn permutations<'a>(items: &[&'a str]) -> Vec<Vec<&'a str>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        (0..items.len())
            .flat_map(|first| {
                let mut rest = items.to_vec();
                let head = rest.remove(first);
                permutations(&rest).into_iter().map(move |tail| [vec![head], tail].concat())
            })
            .collect()
    }
}
