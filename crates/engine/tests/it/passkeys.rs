//! Passkeys of members, where several answers meet.

use crypto::{
    handle::Handle,
    passkey::{RelyingParty, testing::Device},
};
use domain::member::Role;
use engine::{
    members::{CameFrom, MemberError, NewMember, PASSKEYS_MAX, Purpose, Shown, SignedIn, owner},
    rulings::By,
};
use futures::future::join_all;

use crate::harness::{Harness, on_both_databases};

on_both_databases!(one_challenge_signs_in_once, a_passkey_is_added_used_and_removed);

fn party() -> RelyingParty {
    RelyingParty { id: "keys.acme.test".to_owned(), origin: "https://keys.acme.test".to_owned() }
}

fn from() -> CameFrom {
    CameFrom { address: "192.0.2.1".to_owned(), agent: "test".to_owned() }
}

async fn member(harness: &Harness) -> SignedIn {
    let by = By { actor: "test".to_owned(), note: None };
    let email = "ada@acme.test".to_owned();
    let link = harness.engine.invite(harness.tenant, &email, Role::Owner, &by).await.unwrap();
    let new = NewMember { email, name: String::new(), password: "correct horse".into() };
    let (_, handle) = harness.engine.take_invitation(&link, &new, &from()).await.unwrap();
    signed_in(harness, &handle).await
}

async fn signed_in(harness: &Harness, handle: &Handle) -> SignedIn {
    harness.engine.signed_in(handle).await.unwrap().unwrap()
}

async fn add(harness: &Harness, who: &SignedIn, device: &Device) -> Result<(), MemberError> {
    let made = device.make(&party(), &harness.engine.passkey_challenge(Purpose::Add(who)));
    harness.engine.add_passkey(who, &party(), " Laptop ", &made).await
}

fn shown(device: &Device, challenge: &[u8]) -> Shown {
    Shown { credential_id: device.credential_id.clone(), owner: None, used: device.sign(&party(), challenge) }
}

/// However many nodes are asked at the same time.
async fn one_challenge_signs_in_once(harness: Harness) {
    let (who, mut device) = (member(&harness).await, Device::new());
    // A device that does not count leaves it to the challenge.
    device.counter = 0;
    add(&harness, &who, &device).await.unwrap();
    let shown = shown(&device, &harness.engine.passkey_challenge(Purpose::SignIn));
    let (party, from) = (party(), from());
    let all = join_all((0..8).map(|_| harness.engine.sign_in_by_passkey(&party, &shown, &from))).await;
    let (entered, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    assert_eq!((entered.len(), refused.len()), (1, 7));
    for refused in refused {
        assert!(matches!(refused, Err(MemberError::Stale)));
    }
    assert_eq!(harness.engine.store.sessions_of(who.id()).await.unwrap().len(), 2);
}

async fn a_passkey_is_added_used_and_removed(harness: Harness) {
    let (engine, who, mut device) = (&harness.engine, member(&harness).await, Device::new());
    add(&harness, &who, &device).await.unwrap();
    device.counter = 5;
    let challenge = engine.passkey_challenge(Purpose::SignIn);
    let mut stranger = shown(&device, &challenge);
    stranger.owner = Some(vec![7; 16]);
    let refused = engine.sign_in_by_passkey(&party(), &stranger, &from()).await;
    assert!(matches!(refused, Err(MemberError::UnknownPasskey)), "its device says that it is somebody else's");
    stranger.owner = Some(owner(who.id()).to_vec());
    let handle = engine.sign_in_by_passkey(&party(), &stranger, &from()).await.unwrap();
    assert!(signed_in(&harness, &handle).await.is_confirmed(engine.now()));

    let row = engine.store.passkeys_of(who.id()).await.unwrap().remove(0);
    assert_eq!((row.name.as_str(), row.party.as_str(), row.counter), ("Laptop", "keys.acme.test", 5));
    assert_eq!(row.used_at, Some(engine.now().as_microsecond()));
    for _ in 1..PASSKEYS_MAX {
        add(&harness, &who, &Device::new()).await.unwrap();
    }
    let refused = add(&harness, &who, &Device::new()).await.unwrap_err();
    assert_eq!(refused.to_string(), "a member has 20 passkeys at most; remove one first");

    engine.remove_passkey(&who, domain::id::PasskeyId(row.id)).await.unwrap();
    device.counter = 6;
    let shown = shown(&device, &engine.passkey_challenge(Purpose::SignIn));
    let refused = engine.sign_in_by_passkey(&party(), &shown, &from()).await;
    assert!(matches!(refused, Err(MemberError::UnknownPasskey)));
    let audited = harness.audited().await;
    let told: Vec<_> = audited.iter().filter(|action| action.as_str() != "member.passkey_added").collect();
    assert_eq!(told, ["member.invited", "member.joined", "member.passkey_removed", "member.signed_in"]);
    assert_eq!(audited.len() - told.len(), PASSKEYS_MAX);
}
