//! What vendors write for their mails, changed by several at once.

use domain::mail::MailKind;
use engine::{
    mail_templates::{MailOf, OwnParts, TemplateChange},
    rulings::By,
};

use crate::harness::{Harness, on_both_databases};

on_both_databases!(one_version_counts_whoever_meets);

async fn one_version_counts_whoever_meets(harness: Harness) {
    let of = MailOf { kind: MailKind::LicenseDelivery, language: "en", product: None };
    let by = By { actor: "test".to_owned(), note: None };
    let subject = |text: &str| OwnParts { subject: Some(text.to_owned()), ..OwnParts::default() };
    let change = async |change: TemplateChange| {
        harness.engine.change_mail_template(harness.tenant, &of, &change, &by).await.unwrap().unwrap().version
    };
    assert_eq!(change(TemplateChange::Save(subject("the first"))).await, 1);
    for latest in 2..12 {
        let (saved, restored) =
            tokio::join!(change(TemplateChange::Save(subject("another"))), change(TemplateChange::Restore(1)));
        assert_eq!((saved, restored), (latest, 1));
        let counts = harness.engine.store.active_mail_templates(harness.tenant).await.unwrap();
        let [one] = &counts[..] else { panic!("{} versions count", counts.len()) };
        assert!([1, latest].contains(&one.version), "whoever came last");
    }
}
