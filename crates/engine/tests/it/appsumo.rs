//! Lives of purchases at AppSumo, each told twice and in every order. They end as if everything had come once and in turn.

use domain::{license::Holding, text::Reference};
use engine::{configuration::ConfigurationFile, receive::Received};
use jiff::SignedDuration;
use providers::Delivery;
use serde_json::{Value, json};

use crate::harness::Harness;

const SECRET: &str = "appsumo_key";
/// When the first event of a life is made, in milliseconds.
const BEGIN: i64 = 1_793_491_200_000;

const SHOP: &str = r#"
    product = [{ code = "tool", name = "Tool", key_prefix = "TOOL" }]
    plan = [{ code = "A", product = "tool", name = "A" }, { code = "B", product = "tool", name = "B" }]
    connection = [{ code = "sumo", provider = "appsumo", mode = "test", webhook_secrets = ["env:S"], oauth_client = { id = "c", secret = "env:C" } }]
    price_rule = [
        { connection = "sumo", price = "tier:1", plan = "A" },
        { connection = "sumo", price = "tier:2", plan = "B" },
        { connection = "sumo", price = "addon:seats", adds = { activations = 5 } },
    ]
"#;

/// What happened, the events that told it, and the licenses in the end, as plan, state, reason and what add-ons give.
const LIVES: &[(&str, &[&str], &str)] = &[
    ("the tier is told at once", &["purchase k1 tier 1"], "A active paid"),
    ("the tier is told with the activation", &["purchase k1", "activate k1 tier 1"], "A active paid"),
    ("the purchase was lost", &["activate k1 tier 2"], "B active paid"),
    ("nobody tells the tier", &["purchase k1"], ""),
    (
        "upgraded",
        &["purchase k1", "activate k1 tier 1", "upgrade k2 from k1 tier 2", "deactivate k1 because Upgraded"],
        "B active paid",
    ),
    (
        "upgraded and refunded",
        &[
            "purchase k1",
            "activate k1 tier 1",
            "upgrade k2 from k1 tier 2",
            "deactivate k1 because Upgraded",
            "deactivate k2 because Refunded",
        ],
        "B revoked refunded_in_full",
    ),
    (
        "upgraded, and the old key is over for no reason that is known",
        &["purchase k1 tier 1", "deactivate k1 because Whatever", "upgrade k2 from k1 tier 2", "activate k2 tier 2"],
        "B active paid",
    ),
    (
        "upgraded and downgraded again",
        &[
            "purchase k1 tier 1",
            "upgrade k2 from k1 tier 2",
            "deactivate k1 because Upgraded",
            "downgrade k3 from k2 tier 1",
            "deactivate k2 because Downgraded",
        ],
        "A active paid",
    ),
    ("upgraded, and the upgrade was lost", &["purchase k1 tier 1", "deactivate k1 because Upgraded"], "A active paid"),
    (
        "upgraded, the upgrade was lost and the new key is in use",
        &["purchase k1 tier 1", "activate k1 tier 1", "deactivate k1 because Upgraded", "activate k2 tier 2"],
        "A active paid",
    ),
    ("only the upgrade came", &["upgrade k2 from k1 tier 2"], "B active paid"),
    (
        "refunded",
        &["purchase k1 tier 1", "activate k1 tier 1", "deactivate k1 because Refunded"],
        "A revoked refunded_in_full",
    ),
    (
        "over for no known reason",
        &["purchase k1 tier 1", "deactivate k1 because Whatever"],
        "A revoked refunded_in_full",
    ),
    (
        "over, and activated again",
        &["purchase k1 tier 1", "deactivate k1 because Whatever", "activate k1 tier 1"],
        "A active paid",
    ),
    ("a test event", &["purchase k1 tier 1 test"], ""),
    (
        "with an add-on",
        &["purchase k1 tier 1", "purchase a1 for k1 seats 2", "activate k1 tier 1", "activate a1 for k1 seats 2"],
        "A active paid +10",
    ),
    (
        "the add-on is refunded",
        &["purchase k1 tier 1", "purchase a1 for k1 seats 2", "deactivate a1 for k1 because Refunded"],
        "A active paid +0",
    ),
    (
        "with an add-on, upgraded",
        &[
            "purchase k1 tier 1",
            "purchase a1 for k1 seats 2",
            "upgrade k2 from k1 tier 2",
            "migrate a1 for k2 seats 2",
            "deactivate k1 because Upgraded",
        ],
        "B active paid +10",
    ),
    (
        "with an add-on whose purchase was lost, upgraded",
        &["purchase k1 tier 1", "upgrade k2 from k1 tier 2", "migrate a1 for k2 seats 2"],
        "B active paid +10",
    ),
    (
        "all of it refunded",
        &[
            "purchase k1 tier 1",
            "purchase a1 for k1 seats 2",
            "deactivate k1 because Refunded",
            "deactivate a1 for k1 because Refunded",
        ],
        "A revoked refunded_in_full +0",
    ),
];

/// The event that these words say, `number` seconds into the life called `name`.
fn event(name: &str, number: usize, words: &str) -> String {
    let mut words = words.split(' ');
    let mut word = || words.next().unwrap();
    let key = |key: &str| json!(format!("{name}-{key}"));
    let created_at = BEGIN + 1_000 * i64::try_from(number).unwrap();
    let (kind, license_key) = (word(), key(word()));
    let mut event = json!({ "event": kind, "license_key": license_key, "created_at": created_at });
    while let Some(what) = words.next() {
        let mut value = || words.next().unwrap();
        match what {
            "test" => event["test"] = json!(true),
            "tier" => event["tier"] = json!(value().parse::<i64>().unwrap()),
            "from" => event["prev_license_key"] = key(value()),
            "for" => event["parent_license_key"] = key(value()),
            "because" => event["extra"] = json!({ "reason": format!("{} by the customer", value()) }),
            "seats" => {
                event["partner_plan_name"] = json!("seats");
                event["unit_quantity"] = json!(value().parse::<i64>().unwrap());
            }
            other => panic!("no such word: {other}"),
        }
    }
    event.to_string()
}

fn permutations(items: &[String]) -> Vec<Vec<String>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let first = (0..items.len()).flat_map(|first| {
        let mut rest = items.to_vec();
        let head = rest.remove(first);
        permutations(&rest).into_iter().map(move |tail| [vec![head.clone()], tail].concat())
    });
    first.collect()
}

struct Shop(Harness);

impl Shop {
    async fn open() -> Self {
        let harness = Harness::sqlite().await;
        let file = ConfigurationFile::parse(SHOP).unwrap();
        harness.engine.apply(&file, &|_| Ok(SECRET.to_owned()), false, "test").await.unwrap();
        Self(harness)
    }

    async fn deliver(&self, body: &str) {
        let headers = providers::appsumo::sign(&SECRET.into(), body.as_bytes(), self.0.engine.now());
        let header = |asked: &str| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.as_str());
        let delivery = Delivery { header: &header, body: body.as_bytes() };
        let Received::Answer(answer) = self.0.engine.receive("appsumo", "default", &delivery).await else {
            panic!("{body} is not answered")
        };
        let (said, told): (Value, Value) =
            (serde_json::from_str(&answer.body).unwrap(), serde_json::from_str(body).unwrap());
        assert_eq!((answer.status, said), (200, json!({ "success": true, "event": told["event"] })), "{body}");
    }

    /// The licenses of a life. There is one key, or two that open the same license: where a successor's successor came
    /// before what lies between, they were two sales until then.
    async fn outcome(&self, name: &str) -> String {
        let connection = self.0.connection("sumo").await;
        let (plans, mut found) = (self.0.engine.store.plans(self.0.tenant).await.unwrap(), None);
        for key in ["k1", "k2"] {
            let reference = Reference::new(format!("{name}-{key}"));
            found = found.or(self.0.engine.store.order_licenses(connection, &reference).await.unwrap());
        }
        let licenses = found.map(|(_, licenses)| licenses).unwrap_or_default();
        let (live, gone): (Vec<_>, Vec<_>) = licenses.iter().partition(|license| license.holding == Holding::Unit);
        assert!(gone.iter().all(|license| matches!(license.holding, Holding::SupersededBy(_))), "{name}: {gone:?}");
        let words = live.into_iter().map(|license| {
            let plan = plans.iter().find(|plan| plan.id == license.plan.plan.0).unwrap();
            let standing = &license.standing;
            let added = license.unit.added.activations;
            format!("{} {} {} +{added}", plan.code, standing.state.as_str(), standing.reason.code())
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_ends_right_in_whatever_order_it_is_told() {
    let shop = Shop::open().await;
    let mut arrivals = Vec::new();
    for (life, (_, words, _)) in LIVES.iter().enumerate() {
        let orders = permutations(&words.iter().map(|words| (*words).to_owned()).collect::<Vec<_>>()).len();
        for order in 0..orders {
            let name = format!("life{life}x{order}");
            let events: Vec<String> =
                words.iter().enumerate().map(|(place, words)| event(&name, place, words)).collect();
            arrivals.push((life, name, permutations(&events).swap_remove(order)));
        }
    }
    for place in 0..5 {
        let due = arrivals.iter().filter_map(|(.., events)| events.get(place));
        futures::future::join_all(due.flat_map(|event| [shop.deliver(event), shop.deliver(event)])).await;
        shop.0.settle().await;
    }
    let mut wrong = Vec::new();
    for (life, name, events) in &arrivals {
        let (what, _, expected) = LIVES[*life];
        let plus = if expected.is_empty() || expected.contains('+') { "" } else { " +0" };
        let expected = format!("{expected}{plus}");
        let outcome = shop.outcome(name).await;
        if outcome != expected {
            wrong.push(format!("{what}: {events:?}\n  is        {outcome:?}\n  should be {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), arrivals.len(), wrong.join("\n"));
    let mut needed = shop.0.attention().await;
    needed.dedup();
    assert_eq!(needed, ["lines_unknown", "merged_sales"], "a tier that nobody told, two keys for one license");
    // An hour later only those are brought up whose upgrade was lost, each once.
    shop.0.clock.advance(SignedDuration::from_hours(2));
    shop.0.settle().await;
    let items = shop.0.engine.store.attention(shop.0.tenant, 10_000).await.unwrap();
    let told = items.iter().filter(|item| item.kind == "successor_awaited");
    let mut told: Vec<&str> = told.filter_map(|item| Some(item.subject.split_once('/')?.1)).collect();
    let is_lost = |life: usize| LIVES[life].0.contains("the upgrade was lost");
    let lost = arrivals.iter().filter(|(life, ..)| is_lost(*life)).map(|(_, name, _)| format!("{name}-k1"));
    let mut lost: Vec<String> = lost.collect();
    told.sort_unstable();
    lost.sort_unstable();
    assert_eq!(told, lost);
    // The lost event is sent again.
    let found = event(&arrivals.iter().find(|(life, ..)| is_lost(*life)).unwrap().1, 9, "upgrade k2 from k1 tier 2");
    shop.deliver(&found).await;
    shop.0.settle().await;
    let rest = shop.0.attention().await.into_iter().filter(|kind| kind == "successor_awaited").count();
    assert_eq!(rest + 1, lost.len());
}
