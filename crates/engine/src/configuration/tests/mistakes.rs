//! What a file may not say, and how that is told.

use super::{FULL, compared, empty, parsed};

/// Each mistake, as a change of the full file, and what is told.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("[tenant]", "[tenants]", "line 2: unknown field `tenants`, expected one of"),
    ("key_prefix =", "keyprefix =", "line 8: unknown field `keyprefix`, expected one of"),
    ("name = \"Pro\"\n", "", "line 11: missing field `name`"),
    ("sender_name = \"Acme\"", "sender_name = 5", "line 9: invalid type: integer `5`, expected a string"),
    ("\"TOOL\"", "\"T\"", "line 5: product `tool`: key_prefix: a key prefix has 2 to 8 characters"),
    ("code = \"tool\"", "code = \"a tool\"", "line 5: product `a tool`: code: a code has 1 to 64 characters"),
    (
        "product = \"tool\"\nname = \"Pro\"",
        "product = \"took\"\nname = \"Pro\"",
        "line 11: plan `pro`: product: there is no product `took`",
    ),
    ("code = \"starter\"", "code = \"pro\"", "line 21: plan `pro`: it is named twice"),
    (
        "activations = \"unlimited\"",
        "activations = \"many\"",
        "line 16: invalid value: string \"many\", expected a number from 1 on, or \"unlimited\"",
    ),
    ("activations = 1", "activations = 0", "line 25: invalid value: integer `0`, expected a number from 1 on"),
    ("grace_days = 7", "grace = 7", "line 18: unknown field `grace`, expected one of `grace_days`"),
    (
        "grace_days = 7",
        "preset = \"keysteck\"",
        "line 18: unknown variant `keysteck`, expected one of `traffic-orchestrator-stripe`",
    ),
    (
        "partial_refund = \"freeze\"",
        "partial_refund = \"downgrade\"",
        "line 11: plan `pro`: downgrade_to: what a downgrade",
    ),
    ("grace_days = 7", "downgrade_to = \"starter\"", "line 11: plan `pro`: downgrade_to: what a downgrade"),
    (
        "partial_refund = \"freeze\"",
        "partial_refund = \"downgrade\", downgrade_to = \"smaller\"",
        "line 11: plan `pro`: downgrade_to: there is no plan `smaller` of product `tool`; name it in a [[plan]] above",
    ),
    (
        "quantity = \"seats\"",
        "from = \"2030-01-01T00:00:00Z\"\nuntil = \"2029-01-01T00:00:00Z\"",
        "line 35: price rule `stripe` price `price_1` from 2030-01-01T00:00:00Z: until: a rule ends after it begins",
    ),
    ("offline_days = 30", "offline_days = 0", "line 11: plan `pro`: lease: a lease of no time is of no use"),
    (
        "mode = \"test\"",
        "mode = \"sandbox\"",
        "line 30: unknown variant `sandbox`, expected one of `live`, `test`, `simulated`",
    ),
    (
        "provider = \"stripe\"",
        "provider = \"strip\"",
        "line 27: connection `stripe`: provider: there is no provider `strip`; there are stripe",
    ),
    (
        "provider = \"stripe\"",
        "provider = \"manual\"",
        "line 27: connection `stripe`: provider: connections for orders made by hand",
    ),
    (
        "level = \"read\"",
        "level = \"read\"\napi_base = \"http://127.0.0.1:1\"",
        "line 27: connection `stripe`: api_base: leave it out",
    ),
    (
        "mode = \"test\"",
        "mode = \"simulated\"\napi_base = \"http://10.0.0.1:1\"",
        "line 27: connection `stripe`: api_base: a simulated provider runs on this machine",
    ),
    (
        "mode = \"test\"",
        "mode = \"simulated\"",
        "line 27: connection `stripe`: api_base: a simulated connection that looks things up",
    ),
    (
        "api_key = \"file:/run/secrets/stripe\"\n",
        "",
        "line 27: connection `stripe`: api_key: to look things up it needs the provider's API key",
    ),
    (
        "provider = \"stripe\"",
        "provider = \"lemonsqueezy\"",
        "line 27: connection `stripe`: store: a key to the API of Lemon Squeezy reads all stores of the account",
    ),
    (
        "level = \"read\"",
        "level = \"read\"\noauth_client = { id = \"c\", secret = \"env:OTHER\" }",
        "line 27: connection `stripe`: oauth_client: Stripe sends no buyers here; leave it out",
    ),
    (
        "env:WEBHOOK_OLD",
        "env:MISSING",
        "line 27: connection `stripe`: webhook_secrets: the environment variable MISSING is not set",
    ),
    ("env:WEBHOOK_OLD", "env:BLANK", "line 27: connection `stripe`: webhook_secrets: env:BLANK is empty"),
    (
        "price = \"price_1\"",
        "price = \"price_1\"\ndefault = true",
        "line 35: price rule of `stripe`: say what it is about",
    ),
    (
        "plan = \"pro\"\nquantity",
        "plan = \"por\"\nquantity",
        "line 35: price rule `stripe` price `price_1`: plan: there is no plan `por`",
    ),
    ("plan = \"pro\"\nquantity", "grants = []\nquantity", "line 35: price rule of `stripe`: say what it gives"),
    ("product = \"prod_1\"", "price = \"price_1\"", "line 41: price rule `stripe` price `price_1`: it is named twice"),
    (
        "connection = \"stripe\"\ndefault",
        "connection = \"paddle\"\ndefault",
        "line 46: price rule `paddle` default: connection: there is no connection `paddle`",
    ),
    (
        "\"issue\", ",
        "\"issues\", ",
        "line 51: API key `ci`: scopes: there is no scope `issues`; the scopes are license:read,",
    ),
    ("kind = \"live\"", "kind = \"test\"", "line 51: API key `ci`: kind: it says test and the key is a live key"),
    ("[\"issue\", \"license:read\"]", "[]", "line 51: API key `ci`: scopes: a key without a scope opens nothing"),
    ("env:CI_KEY", "env:OTHER", "line 51: API key `ci`: key: this is not an API key"),
];

#[test]
fn mistakes_are_told_with_their_line_and_what_to_do() {
    for (from, to, expected) in MISTAKES {
        let text = FULL.replacen(from, to, 1);
        assert_ne!(text, FULL, "{from}");
        let problems = compared(&empty(), &text).unwrap_err();
        assert!(problems[0].to_string().starts_with(expected), "{}\nexpected: {expected}", problems[0]);
    }
}

#[test]
fn a_secret_in_clear_is_refused_and_not_repeated() {
    for (from, to) in [
        ("[\"env:WEBHOOK_OLD\", \"env:WEBHOOK_NEW\"]", "[\"whsec_clear\"]"),
        ("[\"env:WEBHOOK_OLD\", \"env:WEBHOOK_NEW\"]", "\"whsec_clear\""),
        ("\"file:/run/secrets/stripe\"", "\"rk_clear\""),
        ("\"file:/run/secrets/stripe\"", "[\"rk_clear\"]"),
        ("\"file:/run/secrets/stripe\"", "{ key = \"rk_clear\" }"),
        ("\"file:/run/secrets/stripe\"", "rk_clear"),
        ("\"file:/run/secrets/stripe\"", "\"rk_clear"),
        ("\"file:/run/secrets/stripe\"", "\"env:\""),
        ("\"env:CI_KEY\"", "\"kw_live_clear\""),
        ("\"env:CI_KEY\"", "'''\nkw_live_clear'''"),
    ] {
        let text = FULL.replacen(from, to, 1);
        assert_ne!(text, FULL, "{from}");
        let problems = parsed(&text).unwrap_err();
        let told = format!("{} {problems:?}", problems[0]);
        assert!(problems[0].line.is_some() && !told.contains("clear"), "{told}");
    }
    let problems = parsed(&FULL.replace("file:/run/secrets/stripe", "rk_clear")).unwrap_err();
    let expected =
        "line 33: a secret is never written in this file; say where it is found, as \"env:NAME\" or \"file:PATH\"";
    assert_eq!(problems[0].to_string(), expected);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = FULL.replace("\"TOOL\"", "\"T\"").replace("mode = \"test\"", "mode = \"simulated\"");
    let text = text.replace("price = \"price_1\"\nplan = \"pro\"", "price = \"price_1\"\nplan = \"por\"");
    let problems = compared(&empty(), &text).unwrap_err();
    let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
    assert!(fields.contains(&Some("key_prefix")) && fields.contains(&Some("api_base")), "{problems:?}");
}
