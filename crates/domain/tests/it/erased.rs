//! A buyer's data that was erased stays erased, whatever is told and in whatever order it arrives.

use domain::{
    fact::{CustomerFact, CustomerSnapshot, Fact},
    join::{Join, Register, Stamp},
    order::{Contact, Order},
    text::{CustomerReference, EmailAddress},
};

use crate::telling::{day, sale};

fn contact(email: &str) -> Contact {
    Contact { email: EmailAddress::parse(email).expect("an address"), name: Some("Ada".into()) }
}

fn corrected(email: &str, on: u32) -> Order {
    Order { corrected: Some(Register::new(Stamp::at(day(on)), contact(email))), ..Order::default() }
}

fn erased(on: u32) -> Order {
    let mut order = Order::default();
    order.erase(day(on));
    order
}

#[test]
fn only_what_a_person_says_later_counts() {
    let told = || Order::from(sale("cs_1").once("li_1", "A").buyer("ada@example.com").on(9));
    for (facts, mailed_to) in [
        (vec![told()], Some("ada@example.com")),
        (vec![told(), corrected("lovelace@example.com", 3)], Some("lovelace@example.com")),
        (vec![told(), erased(5)], None),
        (vec![told(), corrected("lovelace@example.com", 3), erased(5)], None),
        (vec![told(), corrected("lovelace@example.com", 5), erased(5)], None),
        (vec![told(), corrected("new@example.com", 6), erased(5)], Some("new@example.com")),
        (vec![corrected("new@example.com", 6), erased(5), erased(7)], None),
    ] {
        let places: Vec<usize> = (0..facts.len()).collect();
        for turned in 0..facts.len() {
            for reversed in [false, true] {
                let mut order = places.clone();
                order.rotate_left(turned);
                if reversed {
                    order.reverse();
                }
                let mut joined = Order::default();
                for place in order {
                    joined.join(facts[place].clone());
                    joined.join(facts[place].clone());
                }
                let email = joined.mailed_to().map(|contact| contact.email.as_str());
                assert_eq!(email, mailed_to, "{turned} {reversed}: {facts:?}");
                assert!(mailed_to.is_some() || !format!("{joined:?}").contains("example.com"), "{joined:?}");
            }
        }
    }
}

#[test]
fn a_fact_that_was_erased_reads_as_before() {
    let snapshot =
        CustomerSnapshot { deleted: false, email: Some(contact("ada@example.com").email), name: Some("Ada".into()) };
    let snapshot = Register::new(Stamp::at(day(1)), snapshot);
    let reference = CustomerReference::new("cus_1");
    for mut fact in [
        Fact::Customer(CustomerFact { reference, snapshot }),
        Fact::Order(Box::new(sale("cs_1").once("li_1", "A").buyer("ada@example.com").into())),
    ] {
        fact.erase(day(2));
        let text = fact.encode();
        assert!(!text.contains("example.com") && !text.contains("Ada") && text.contains("s_1"), "{text}");
        assert_eq!(Fact::decode(fact.kind(), domain::fact::VERSION, &text).expect("it reads"), fact);
    }
}
