//! Identity providers, on both databases.

use crypto::handle::Handle;
use domain::{id::TenantId, member::Role};
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
    a_vendors_provider_touches_nobody_of_another_vendor,
    who_joined_by_a_link_is_bound,
    what_a_changed_provider_answers_counts_no_more,
    a_provider_is_not_taken_away_from_owners_without_a_password,
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
    harness.engine.save_identity_provider(harness.tenant, provider(domains), who, &who.by(None)).await.unwrap();
}

fn provider(domains: &[&str]) -> NewProvider {
    let (id, secret) = TestProvider::CLIENT;
    NewProvider {
        name: "Acme ID".to_owned(),
        issuer: TestProvider::ISSUER.to_owned(),
        client_id: id.to_owned(),
        secret: Some(secret.into()),
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        newcomers: (!domains.is_empty()).then_some(Role::Viewer),
        required: false,
    }
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
    sent_by(harness, node, harness.tenant, person).await
}

async fn sent_by(harness: &Harness, node: &Engine, tenant: TenantId, person: &Person) -> (Handle, String, String) {
    let visit = node.begin_visit(tenant, Purpose::Enter(None), "/", REDIRECT).await.unwrap();
    let query = harness.provider.sign_in(&visit.url, person, node.now());
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).unwrap().1.clone();
    (visit.handle, value("code"), value("state"))
}

async fn back(harness: &Harness, node: &Engine, sent: &(Handle, String, String)) -> Result<Handle, IdentityError> {
    back_at(node, harness.tenant, sent).await
}

async fn back_at(
    node: &Engine,
    tenant: TenantId,
    (handle, code, state): &(Handle, String, String),
) -> Result<Handle, IdentityError> {
    let visit = node.end_visit(tenant, handle, state).await?;
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

/// Whoever comes by a vendor's provider.
async fn comes_to(harness: &Harness, tenant: TenantId, person: &Person) -> SignedIn {
    let sent = sent_by(harness, &harness.engine, tenant, person).await;
    let handle = back_at(&harness.engine, tenant, &sent).await.unwrap();
    harness.engine.signed_in(&handle).await.unwrap().unwrap()
}

async fn a_vendors_provider_touches_nobody_of_another_vendor(harness: Harness) {
    let (engine, owner) = (&harness.engine, with_owner(&harness).await);
    let other = engine.ensure_tenant("other", "Other").await.unwrap();
    let new = NewMember { email: "boss@other.example".into(), name: String::new(), password: "battery staple".into() };
    engine.create_owner(other, &new).await.unwrap();
    let boss = signed_in(&harness, "boss@other.example").await;
    engine.save_identity_provider(other, provider(&["acme.example"]), &boss, &boss.by(None)).await.unwrap();

    let namesake = comes_to(&harness, other, &Person::new("s-o", "owner@acme.example")).await;
    assert_eq!(namesake.member.home, other.0);
    assert_ne!(namesake.id(), owner.id(), "what another vendor's provider says makes nobody its member");
    engine.invite(other, "owner@acme.example", Role::Admin, &boss.by(None)).await.unwrap();
    let again = comes_to(&harness, other, &Person::new("s-o", "owner@acme.example")).await;
    assert_eq!(again.id(), namesake.id());
    let vendors = |all: Vec<(store::rows::Tenant, _)>| all.into_iter().map(|(row, _)| row.id).collect::<Vec<_>>();
    assert_eq!(vendors(engine.store.tenants_of(owner.id()).await.unwrap()), [harness.tenant.0]);
    assert_eq!(vendors(engine.store.tenants_of(namesake.id()).await.unwrap()), [other.0]);
    let entered = engine.sign_in("owner@acme.example", "correct horse", &from()).await.unwrap();
    assert_eq!(engine.signed_in(&entered.handle).await.unwrap().unwrap().id(), owner.id());
    let seen = engine.store.sessions_of_team(other).await.unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|row| row.member_id != owner.member.id), "{seen:?}");

    comes_to(&harness, other, &ADA).await;
    let link = engine.invite(harness.tenant, ADA.email, Role::Support, &owner.by(None)).await.unwrap();
    let new = NewMember { email: ADA.email.into(), name: String::new(), password: "correct horse".into() };
    let (ada, _) = engine.take_invitation(&link, &new, &from()).await.expect("her address is hers to use");
    assert_eq!(vendors(engine.store.tenants_of(ada).await.unwrap()), [harness.tenant.0]);
}

async fn who_joined_by_a_link_is_bound(harness: Harness) {
    let owner = with_owner(&harness).await;
    let came = comes_to(&harness, harness.tenant, &Person::new("s-o", "owner@acme.example")).await;
    assert_eq!((came.id(), came.session.tenant_id), (owner.id(), Some(harness.tenant.0)));
    assert!(!came.is_confirmed(harness.engine.now()), "the provider did not say when this was proved");
}

async fn what_a_changed_provider_answers_counts_no_more(harness: Harness) {
    let (engine, tenant, owner) = (&harness.engine, harness.tenant, with_owner(&harness).await);
    let is_stale = |came: &Result<Handle, _>| matches!(came, Err(IdentityError::Problem(Problem::Stale)));
    let waiting = sent(&harness, engine, &ADA).await;
    let (handle, code, state) = sent(&harness, engine, &ADA).await;
    let under_way = engine.end_visit(tenant, &handle, &state).await.unwrap();
    let renamed = NewProvider { client_id: "another".to_owned(), ..provider(&["acme.example"]) };
    engine.save_identity_provider(tenant, renamed, &owner, &owner.by(None)).await.unwrap();
    assert!(is_stale(&back(&harness, engine, &waiting).await), "who was sent before");
    let answer = Answer { code: Some(&code), ..Answer::default() };
    let late = engine.answer_visit(&under_way, &answer, REDIRECT, None, &from()).await;
    assert!(matches!(late, Err(IdentityError::Problem(Problem::Stale))), "whose code was traded meanwhile");
    assert!(engine.store.sessions_of_team(tenant).await.unwrap().is_empty());
}

async fn a_provider_is_not_taken_away_from_owners_without_a_password(harness: Harness) {
    let (engine, tenant, owner) = (&harness.engine, harness.tenant, with_owner(&harness).await);
    harness.database.sql("UPDATE members SET password = NULL").await;
    let renamed = NewProvider { client_id: "another".to_owned(), ..provider(&["acme.example"]) };
    let changed = engine.save_identity_provider(tenant, renamed, &owner, &owner.by(None)).await;
    let removed = engine.remove_identity_provider(tenant, &owner.by(None)).await;
    for refused in [changed, removed] {
        assert!(matches!(refused, Err(IdentityError::Field(_))), "{refused:?}");
    }
    let kept = engine.store.identity_provider(tenant).await.unwrap().unwrap();
    assert_eq!(kept.client_id, TestProvider::CLIENT.0);
}
