//! Identity providers, on both databases.

use crypto::handle::Handle;
use domain::member::Role;
use engine::{
    Engine,
    identity::{Answer, Ended, IdentityError, NewProvider, Problem, Purpose},
    members::{CameFrom, NewMember, SignedIn},
    rulings::By,
    testing::{Person, TestProvider},
};
use futures::future::join_all;
use url::form_urlencoded;

use crate::harness::{Harness, on_both_databases};

const REDIRECT: &str = "https://keys.example/sign-in/default/callback";
static ADA: Person = Person::new("s-ada", "ada@acme.example");

on_both_databases![
    somebody_comes_in_and_the_session_is_the_vendors,
    who_comes_twice_at_once_is_one_member,
    of_two_who_bring_the_same_answer_one_comes_in,
    an_owner_is_not_locked_out,
];

fn from() -> CameFrom {
    CameFrom { address: "192.0.2.1".to_owned(), agent: "test".to_owned() }
}

/// The owner with this address, in a browser where no provider let them in.
pub(crate) async fn signed_in(harness: &Harness, email: &str) -> SignedIn {
    let all = harness.engine.store.members().await.unwrap();
    let member = all.into_iter().find(|member| member.email == email).unwrap();
    let session = store::rows::Session {
        id: member.id,
        member_id: member.id,
        hash: Vec::new(),
        address: String::new(),
        agent: String::new(),
        created_at: 0,
        confirmed_at: None,
        seen_at: 0,
        expires_at: 0,
        tenant_id: None,
        has_factor: false,
    };
    SignedIn { member, session }
}

/// Sets the provider up, with these domains, of which everybody becomes a viewer.
pub(crate) async fn set_up(harness: &Harness, who: &SignedIn, domains: &[&str]) {
    let (id, secret) = TestProvider::CLIENT;
    let new = NewProvider {
        name: "Acme ID".to_owned(),
        issuer: TestProvider::ISSUER.to_owned(),
        client_id: id.to_owned(),
        secret: Some(secret.into()),
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        newcomers: (!domains.is_empty()).then_some(Role::Viewer),
        required: false,
    };
    harness.engine.save_identity_provider(harness.tenant, new, who, &who.by(None)).await.unwrap();
}

async fn with_owner(harness: &Harness) -> SignedIn {
    let new = NewMember { email: "owner@acme.example".into(), name: String::new(), password: "correct horse".into() };
    harness.engine.create_owner(harness.tenant, &new).await.unwrap();
    let owner = signed_in(harness, "owner@acme.example").await;
    set_up(harness, &owner, &["acme.example"]).await;
    owner
}

/// A browser that was sent to the provider, where somebody signed in: what it keeps, and code and state of the answer.
async fn sent(harness: &Harness, node: &Engine, person: &Person) -> (Handle, String, String) {
    let visit = node.begin_visit(harness.tenant, Purpose::Enter, "/", REDIRECT).await.unwrap();
    let query = harness.provider.sign_in(&visit.url, person, node.now());
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).unwrap().1.clone();
    (visit.handle, value("code"), value("state"))
}

async fn back(
    harness: &Harness,
    node: &Engine,
    (handle, code, state): &(Handle, String, String),
) -> Result<Handle, IdentityError> {
    let visit = node.end_visit(harness.tenant, handle, state).await?;
    let answer = Answer { code: Some(code), ..Answer::default() };
    match node.answer_visit(&visit, &answer, REDIRECT, None, &from()).await? {
        Ended::Entered(handle) => Ok(handle),
        _ => panic!("it was to sign in"),
    }
}

/// Goes to the provider and comes back.
async fn visits(harness: &Harness, node: &Engine, person: &Person) -> Result<Handle, IdentityError> {
    back(harness, node, &sent(harness, node, person).await).await
}

async fn somebody_comes_in_and_the_session_is_the_vendors(harness: Harness) {
    with_owner(&harness).await;
    let engine = &harness.engine;
    let other = engine.ensure_tenant("other", "Other").await.unwrap();
    let handle = visits(&harness, engine, &ADA).await.unwrap();
    let ada = engine.signed_in(&handle).await.unwrap().unwrap();
    assert_eq!((ada.member.email.as_str(), ada.member.name.as_str()), ("ada@acme.example", "Ada L."));
    let tenants = engine.tenants_of(&ada).await.unwrap();
    assert_eq!((tenants.len(), tenants[0].1.role.as_str()), (1, "viewer"));
    assert!(engine.opens(&ada, harness.tenant, Role::Viewer).await.unwrap());
    assert!(!engine.opens(&ada, other, Role::Owner).await.unwrap(), "not even what is hers elsewhere");
    let by = By { actor: "test".to_owned(), note: None };
    engine.remove_identity_provider(harness.tenant, &by).await.unwrap();
    assert!(engine.signed_in(&handle).await.unwrap().is_none());
    let told = harness.audited().await;
    for action in ["identity_provider.saved", "member.account_bound", "member.signed_in", "identity_provider.removed"] {
        assert!(told.iter().any(|told| told == action), "{action}: {told:?}");
    }
}

async fn who_comes_twice_at_once_is_one_member(harness: Harness) {
    with_owner(&harness).await;
    let all = join_all((0..4).map(|_| visits(&harness, &harness.engine, &ADA))).await;
    assert!(
        all.iter().all(Result::is_ok),
        "{:?}",
        all.iter().filter_map(|came| came.as_ref().err()).collect::<Vec<_>>()
    );
    let members = harness.engine.store.members_of(harness.tenant).await.unwrap();
    assert_eq!(members.len(), 2, "the owner and she");
    let joined = harness.audited().await.iter().filter(|action| *action == "member.joined").count();
    assert_eq!(joined, 2);
}

async fn of_two_who_bring_the_same_answer_one_comes_in(harness: Harness) {
    with_owner(&harness).await;
    let sent = sent(&harness, &harness.engine, &ADA).await;
    let all = join_all((0..4).map(|_| back(&harness, &harness.engine, &sent))).await;
    assert_eq!(all.iter().filter(|came| came.is_ok()).count(), 1);
    let refused = all.iter().filter(|came| matches!(came, Err(IdentityError::Problem(Problem::Stale)))).count();
    assert_eq!(refused, 3);
}

async fn an_owner_is_not_locked_out(harness: Harness) {
    let owner = with_owner(&harness).await;
    harness.database.sql("UPDATE identity_providers SET required = true").await;
    for (role, opens) in [(Role::Owner, true), (Role::Admin, false), (Role::Viewer, false)] {
        assert_eq!(harness.engine.opens(&owner, harness.tenant, role).await.unwrap(), opens, "{role}");
    }
    harness.database.sql("UPDATE identity_providers SET required = false").await;
    assert!(harness.engine.opens(&owner, harness.tenant, Role::Viewer).await.unwrap());
}
