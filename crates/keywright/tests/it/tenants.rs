//! Vendors' accounts by command.

use crate::process::Installation;

#[test]
fn an_account_is_made_suspended_resumed_and_closed() {
    let installation = Installation::empty();
    let ran = |arguments: &[&str]| installation.run(&[&["tenant"], arguments].concat());
    let listed = || {
        let rows = ran(&["list"]).stdout;
        let row = rows.lines().find(|row| row.starts_with("acme ")).unwrap_or_default().to_owned();
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let made = ran(&["create", "acme", "--name", "Acme", "--licenses-max", "5"]);
    assert!(made.status.success() && made.stdout.starts_with("ten_"), "{made:?}");
    assert_eq!(listed(), "acme active Acme at most 5 licenses");
    for (word, status) in [("suspend", "suspended"), ("resume", "active"), ("close", "closed"), ("close", "closed")] {
        assert_eq!(ran(&[word, "acme", "--note", "unpaid"]).stdout, format!("acme is {status}\n"));
        assert_eq!(listed(), format!("acme {status} Acme at most 5 licenses"));
    }
    for (arguments, told) in [
        (["create", "acme", "--name", "Other"], "there is a tenant `acme` already"),
        (["create", "Acme", "--name", "Acme"], "a slug has 1 to 40 characters"),
        (["suspend", "nobody", "--note", "x"], "there is no tenant `nobody`"),
    ] {
        let refused = ran(&arguments);
        assert!(!refused.status.success() && refused.stderr.contains(told), "{refused:?}");
    }
    installation.verify();
}
