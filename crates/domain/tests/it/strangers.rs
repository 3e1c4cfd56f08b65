//! Rule 19: customers who have nothing to do with each other do not share an order.

use std::collections::BTreeSet;

use domain::{fulfil::Waiting, order::Order, text::CustomerReference};

use crate::{
    telling::{day, facts, sale, same_sale},
    world::World,
};

fn of(customer: &str, sale: impl Into<Order>) -> Order {
    Order { customers: [CustomerReference::new(customer)].into(), ..sale.into() }
}

fn strangers(world: &World) -> Option<&BTreeSet<CustomerReference>> {
    world.order("cs_1").waiting.iter().find_map(|waiting| match waiting {
        Waiting::SeveralCustomers { customers } => Some(customers),
        _ => None,
    })
}

#[test]
fn two_customers_in_one_order_need_a_person() {
    let mut world = World::selling(&["A"]);
    world.put(&[of("cus_1", sale("cs_1").once("li_1", "A"))], day(0));
    world.put(&[of("cus_2", sale("cs_2").once("li_2", "A"))], day(1));
    assert_eq!(strangers(&world), None);
    world.put(&facts![same_sale(&["cs_1", "cs_2"])], day(2));
    let both = ["cus_1", "cus_2"].map(CustomerReference::new).into();
    assert_eq!(strangers(&world), Some(&both));
}

#[test]
fn one_customer_who_buys_twice_is_no_stranger() {
    let mut world = World::selling(&["A"]);
    for (name, line) in [("cs_1", "li_1"), ("cs_2", "li_2")] {
        world.put(&[of("cus_1", sale(name).once(line, "A"))], day(0));
    }
    world.put(&facts![same_sale(&["cs_1", "cs_2"])], day(1));
    assert_eq!(strangers(&world), None);
}
