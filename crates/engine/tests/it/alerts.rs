//! The ways by which alerts reach people, and noticing that a provider has become silent.

use domain::{
    alert::ALERTS_FAILING,
    id::{AlertChannelId, AttentionId, WebhookEndpointId},
    silence::NO_EVENTS,
};
use engine::{
    alerts::open_target,
    configuration::{Action, ApplyReport, ConfigurationError, ConfigurationFile},
    receive::Received,
};
use jiff::SignedDuration;
use providers::{Delivery, signature};
use store::{
    lists::{Page, Whose},
    rows::{AlertChannel, AttentionItem},
    webhook_endpoints::attention::{DELIVERIES_DEAD, ENDPOINT_DISABLED, ENDPOINT_FAILING},
};

use crate::harness::{Harness, on_both_databases};

on_both_databases!(
    channels_come_from_a_file,
    what_cannot_be_a_channel_is_told_without_its_address,
    what_is_told_of_an_endpoint_or_a_channel_has_its_mode_and_goes_with_it,
    a_silent_provider_is_told_until_it_calls,
);

const CHANNELS: &str = r#"
    [[alert]]
    code = "mail"
    kind = "mail"
    to = "ops@acme.test"

    [[alert]]
    code = "team"
    kind = "slack"
    to = "env:SLACK"
    items = ["unmapped_price", "no_address"]

    [[alert]]
    code = "pager"
    kind = "webhook"
    to = "env:PAGER"
    secret = "env:SECRET"
    mode = "test"
"#;

fn secret(source: &str) -> Result<String, String> {
    match source {
        "env:SLACK" => Ok("https://hooks.chat.example/services/T0/B0/token".to_owned()),
        "env:PAGER" => Ok("https://pager.acme.example/in?token=token".to_owned()),
        "env:NEIGHBOUR" => Ok("https://10.0.0.7/in?token=token".to_owned()),
        "env:SECRET" => Ok("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
        other => Err(format!("{other} is not set")),
    }
}

async fn apply(harness: &Harness, text: &str, prune: bool) -> Result<ApplyReport, ConfigurationError> {
    harness.engine.apply(&ConfigurationFile::parse(text)?, &secret, prune, "test").await
}

async fn channels(harness: &Harness) -> Vec<AlertChannel> {
    harness.engine.store.alert_channels(harness.tenant).await.unwrap()
}

async fn channels_come_from_a_file(harness: Harness) {
    let report = apply(&harness, CHANNELS, false).await.unwrap();
    assert_eq!((report.count(Action::Created), report.changes.len()), (3, 3), "{report}");
    assert_eq!(apply(&harness, CHANNELS, false).await.unwrap().to_string(), "3 unchanged\n");
    let mut seen: Vec<(String, String, bool)> =
        channels(&harness).await.into_iter().map(|row| (row.code, row.hint, row.livemode)).collect();
    seen.sort();
    let expected =
        [("mail", "o…@acme.test", true), ("pager", "pager.acme.example", false), ("team", "hooks.chat.example", true)];
    assert_eq!(seen, expected.map(|(code, hint, live)| (code.to_owned(), hint.to_owned(), live)));
    for row in channels(&harness).await {
        let target = open_target(&row, &harness.engine.ring()).unwrap();
        assert_eq!((target.to.contains("token"), target.secret.is_some()), (row.kind != "mail", row.kind == "webhook"));
    }
    let changed = apply(&harness, &CHANNELS.replace("\"no_address\"", "\"mail_failed\""), false).await.unwrap();
    assert_eq!(changed.to_string(), "changed   alert channel `team`: items\n1 changed, 2 unchanged\n");
    assert!(!changed.to_string().contains("token"));
    let told = apply(&harness, "", false).await.unwrap();
    assert_eq!((told.is_change(), told.count(Action::WouldDelete)), (false, 3), "{told}");
    assert_eq!(apply(&harness, "", true).await.unwrap().count(Action::Deleted), 3);
    assert!(channels(&harness).await.is_empty());
    let audited = harness.audited().await;
    let count = |action: &str| audited.iter().filter(|audited| *audited == action).count();
    let counts = ["alert_channel.created", "alert_channel.changed", "alert_channel.deleted"].map(count);
    assert_eq!(counts, [3, 1, 3]);
}

async fn what_cannot_be_a_channel_is_told_without_its_address(harness: Harness) {
    apply(&harness, CHANNELS, false).await.unwrap();
    for (from, to, told) in [
        ("\"env:SLACK\"", "\"https://hooks.slack.com/token\"", "to: an address that is called may hold a token"),
        ("\"env:SLACK\"", "\"env:SECRET\"", "to: it is not an address that can be called"),
        ("\"env:SLACK\"", "\"env:NEIGHBOUR\"", "to: the test may not call 10.0.0.7"),
        ("ops@acme.test", "token", "to: it is not an e-mail address"),
        (
            "no_address",
            "no_adress",
            "items: there are no items of the kind no_adress; there are account_disconnected, ",
        ),
        ("secret = \"env:SECRET\"", "secret = \"env:SLACK\"", "secret: a webhook secret is `whsec_`"),
        ("kind = \"slack\"", "kind = \"webhook\"", "it is a channel of the kind slack, for good"),
        ("mode = \"test\"", "", "it is a channel of the other mode, for good"),
        ("code = \"pager\"", "code = \"mail\"", "it is named twice"),
    ] {
        let refused = apply(&harness, &CHANNELS.replace(from, to), false).await.unwrap_err().to_string();
        assert!(refused.contains(told) && !refused.contains("token\""), "{from}: {refused}");
        assert!(!refused.contains("whsec_MD"), "{refused}");
    }
    let unsigned = CHANNELS.replace("secret = \"env:SECRET\"", "").replace("\"pager\"", "\"another\"");
    let refused = apply(&harness, &unsigned, false).await.unwrap_err().to_string();
    assert!(refused.contains("secret: calls are signed, and there is no secret that signs them"), "{refused}");
}

async fn what_is_told_of_an_endpoint_or_a_channel_has_its_mode_and_goes_with_it(harness: Harness) {
    let endpoint = "[[webhook_endpoint]]\ncode = \"crm\"\nurl = \"https://crm.example/hooks\"\nmode = \"test\"\n";
    apply(&harness, &format!("{CHANNELS}{endpoint}"), false).await.unwrap();
    let endpoint = WebhookEndpointId(harness.endpoint("crm").await.id).to_string();
    let pager = channels(&harness).await.into_iter().find(|row| row.code == "pager").unwrap();
    let pager = AlertChannelId(pager.id).to_string();
    let about = [
        (ENDPOINT_FAILING, &endpoint),
        (ENDPOINT_DISABLED, &endpoint),
        (DELIVERIES_DEAD, &endpoint),
        (ALERTS_FAILING, &pager),
    ];
    let write = harness.engine.store.begin().await.unwrap();
    for (kind, subject) in about {
        let now = harness.engine.now();
        let id = AttentionId::new(now, &mut *harness.engine.entropy());
        let item = AttentionItem::new(id, harness.tenant, (kind, subject.clone()), String::new(), now);
        write.open_items(vec![AttentionItem { livemode: Some(false), ..item }]).await.unwrap();
    }
    write.commit().await.unwrap();
    for (livemode, count) in [(true, 0), (false, about.len())] {
        let whose = Whose { tenant: harness.tenant, livemode };
        let listed = harness.engine.store.list_attention(whose, Page { limit: 100, from: None }).await.unwrap();
        assert_eq!(listed.rows.len(), count, "live: {livemode}");
    }
    apply(&harness, "", true).await.unwrap();
    assert_eq!(harness.attention().await, [] as [String; 0], "nobody can mend what is not there");
}

async fn calls(harness: &Harness, number: u32) {
    let body = format!(
        r#"{{"id":"evt_{number}","object":"event","type":"ping","created":1,"livemode":true,"data":{{"object":{{}}}}}}"#
    );
    let signed = signature::sign(&"secret-env:live".into(), body.as_bytes(), harness.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    let delivery = Delivery { header: &header, body: body.as_bytes() };
    let Received::Answer(answer) = harness.engine.receive("stripe", "default", &delivery).await else {
        panic!("it is not answered")
    };
    assert_eq!(answer.status, 200);
}

async fn a_silent_provider_is_told_until_it_calls(harness: Harness) {
    harness
        .apply(
            r#"connection = [{ code = "shop", provider = "stripe", mode = "live", webhook_secrets = ["env:live"] },
            { code = "shop-test", provider = "stripe", mode = "test", webhook_secrets = ["env:test"] }]"#,
        )
        .await;
    let told = async || {
        harness.engine.notice_silence().await.unwrap();
        harness.attention().await
    };
    assert_eq!(told().await, [] as [String; 0], "nobody has called yet");
    calls(&harness, 1).await;
    harness.clock.advance(SignedDuration::from_hours(30));
    calls(&harness, 2).await;
    harness.clock.advance(SignedDuration::from_hours(240));
    assert_eq!(told().await, [] as [String; 0], "eight times the longest gap are usual");
    harness.clock.advance(SignedDuration::from_hours(1));
    for _ in 0..2 {
        assert_eq!(told().await, [NO_EVENTS], "and once is enough");
    }
    let items = harness.engine.store.attention(harness.tenant, 10).await.unwrap();
    assert!(
        items[0].detail.starts_with("Stripe has not called for `shop` since 2026-11-02 06:00 UTC"),
        "{}",
        items[0].detail
    );
    calls(&harness, 3).await;
    assert_eq!(told().await, [] as [String; 0], "it has called");
    // What was found in the provider's list is no call.
    harness.database.sql("UPDATE inbound_events SET caught_up = TRUE WHERE event_key = 'evt_3'").await;
    assert_eq!(told().await, [NO_EVENTS]);
}
