//! The facts of every fixture, at each level, with canned answers.

use std::collections::BTreeMap;

use providers::lemonsqueezy::LemonSqueezy;

use crate::{
    common::{canned, document},
    support::taken_in,
};

/// All events in the folder, by name.
pub(crate) fn fixtures() -> BTreeMap<String, String> {
    crate::common::fixtures("lemonsqueezy")
}

#[test]
fn facts_of_every_fixture() {
    let canned = canned("lemonsqueezy");
    for (name, body) in fixtures() {
        let incoming = taken_in(body.as_bytes()).expect(&name).remove(0);
        insta::assert_json_snapshot!(name, document(&LemonSqueezy, &incoming, &canned));
    }
}
