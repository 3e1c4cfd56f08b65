//! Who comes in by what an identity provider says of them: decided over data.

use domain::{
    id::{InvitationId, MemberId},
    member::Role,
    text::EmailAddress,
};
use jiff::Timestamp;

use super::Problem;

/// What an identity provider says of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The account there: it is never given to anybody else.
    pub(super) subject: String,
    pub(super) email: Option<EmailAddress>,
    /// Whether the provider knows that the address is theirs.
    pub(super) is_verified: bool,
    pub(super) name: String,
    /// When they proved there who they are.
    pub(super) proved_at: Option<Timestamp>,
}

/// What a vendor says of those who come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// The domains of addresses that come in, in small letters; none: all.
    pub(super) domains: Vec<String>,
    /// What those become whom nobody invited; none: they do not come in.
    pub(super) newcomers: Option<Role>,
}

/// A member who may be the one who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: MemberId,
    /// What they are to this vendor; none: nothing, or nothing any more.
    pub(super) role: Option<Role>,
    /// Whether they have an account at this provider that is known already.
    pub(super) has_account: bool,
    /// Whether they are the vendor's own account, and not one of the server, which only its owner brings here.
    pub(super) is_own: bool,
}

/// What the database knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Knowledge {
    /// The member whose account this is.
    pub(super) account: Option<Known>,
    /// The one with this address: a member here before others.
    pub(super) address: Option<Known>,
    /// An invitation to this address that is open.
    pub(super) invitation: Option<(InvitationId, Role)>,
}

/// How somebody comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As the member whose account this is.
    Known(MemberId, Role),
    /// As the member with this address, whose account this is from now on.
    Bound(MemberId, Role),
    /// As one who becomes a member of this vendor: this account of its own that was one before, or a new one; by an
    /// invitation, or as a newcomer.
    Joined(Option<MemberId>, Role, Option<InvitationId>),
}

impl Admission {
    pub(super) const fn role(self) -> Role {
        match self {
            Self::Known(_, role) | Self::Bound(_, role) | Self::Joined(_, role, _) => role,
        }
    }
}

/// Decides who comes in. The account decides who somebody is, and the address only where the account is no member's: an
/// address that was given to somebody else opens nothing of who had it before. An account of the server is never made a member
/// here: what this provider says of its address is not its owner's word.
pub(super) fn admit(said: &Said, rules: &Rules, known: &Knowledge) -> Result<Admission, Problem> {
    let email = said.email.as_ref().filter(|_| said.is_verified).ok_or(Problem::Unverified)?;
    let domain = email.as_str().rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
    if !rules.domains.is_empty() && !rules.domains.contains(&domain) {
        return Err(Problem::Domain);
    }
    let before = [known.account, known.address].into_iter().flatten();
    // Who was removed does not come back by themselves.
    let was_here = before.clone().any(|known| known.is_own || known.has_account);
    let own = before.clone().find(|known| known.is_own).map(|known| known.id);
    match (known.account, known.address) {
        (Some(Known { id, role: Some(role), .. }), _) => Ok(Admission::Known(id, role)),
        (_, Some(Known { id, role: Some(role), has_account: false, .. })) => Ok(Admission::Bound(id, role)),
        (_, Some(Known { role: Some(_), has_account: true, .. })) => Err(Problem::OtherAccount),
        (account, address) => {
            let invited = known.invitation.map(|(id, role)| Admission::Joined(own, role, Some(id)));
            let newcomer = rules.newcomers.filter(|_| !was_here).map(|role| Admission::Joined(None, role, None));
            let is_other = account.is_none() && address.is_some_and(|known| known.has_account);
            invited.or(newcomer).ok_or(if is_other { Problem::OtherAccount } else { Problem::Nobody })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: MemberId = MemberId(uuid::Uuid::from_u128(1));
    const BOB: MemberId = MemberId(uuid::Uuid::from_u128(2));
    const INVITED: Option<(InvitationId, Role)> = Some((InvitationId(uuid::Uuid::from_u128(3)), Role::Developer));

    fn said(email: &str, is_verified: bool) -> Said {
        let email = EmailAddress::parse(email).ok();
        Said { subject: "s-1".to_owned(), email, is_verified, name: String::new(), proved_at: None }
    }

    fn rules(domains: &[&str], newcomers: Option<Role>) -> Rules {
        Rules { domains: domains.iter().map(|domain| (*domain).to_owned()).collect(), newcomers }
    }

    fn own(id: MemberId, role: Option<Role>, has_account: bool) -> Option<Known> {
        Some(Known { id, role, has_account, is_own: true })
    }

    /// Bob, whose account is one of the server.
    fn elsewhere(role: Option<Role>, has_account: bool) -> Option<Known> {
        own(BOB, role, has_account).map(|known| Known { is_own: false, ..known })
    }

    fn joined(member: Option<MemberId>, role: Role, by: Option<(InvitationId, Role)>) -> Admission {
        Admission::Joined(member, role, by.map(|(invitation, _)| invitation))
    }

    #[test]
    fn only_verified_addresses_of_the_vendors_domains_come_in() {
        let known = Knowledge { account: own(ADA, Some(Role::Admin), true), ..Knowledge::default() };
        for (email, is_verified, domains, expected) in [
            ("ada@acme.example", true, &[][..], Ok(Admission::Known(ADA, Role::Admin))),
            ("ada@ACME.example", true, &["acme.example"], Ok(Admission::Known(ADA, Role::Admin))),
            ("ada@acme.example", false, &[], Err(Problem::Unverified)),
            ("", true, &[], Err(Problem::Unverified)),
            ("ada@evil.example", true, &["acme.example"], Err(Problem::Domain)),
            ("ada@mail.acme.example", true, &["acme.example"], Err(Problem::Domain)),
            ("\"x@acme.example\"@evil.example", true, &["acme.example"], Err(Problem::Domain)),
        ] {
            let came = admit(&said(email, is_verified), &rules(domains, None), &known);
            let is_no_address = EmailAddress::parse(email).is_err();
            assert_eq!(came, if is_no_address { Err(Problem::Unverified) } else { expected }, "{email}");
        }
    }

    #[test]
    fn the_account_decides_who_somebody_is() {
        let (support, viewer) = (Some(Role::Support), Some(Role::Viewer));
        for (what, account, address, invitation, newcomers, expected) in [
            ("a stranger", None, None, None, None, Err(Problem::Nobody)),
            ("a newcomer", None, None, None, viewer, Ok(joined(None, Role::Viewer, None))),
            ("an invited stranger", None, None, INVITED, viewer, Ok(joined(None, Role::Developer, INVITED))),
            (
                "a member's first visit",
                None,
                own(ADA, support, false),
                None,
                None,
                Ok(Admission::Bound(ADA, Role::Support)),
            ),
            (
                "another account with a member's address",
                None,
                own(ADA, support, true),
                INVITED,
                viewer,
                Err(Problem::OtherAccount),
            ),
            (
                "an account whose address is another member's by now",
                own(BOB, viewer, true),
                own(ADA, support, true),
                None,
                None,
                Ok(Admission::Known(BOB, Role::Viewer)),
            ),
            ("who was removed", own(ADA, None, true), own(ADA, None, true), None, viewer, Err(Problem::Nobody)),
            (
                "who was removed and invited again",
                own(ADA, None, true),
                own(ADA, None, true),
                INVITED,
                None,
                Ok(joined(Some(ADA), Role::Developer, INVITED)),
            ),
            (
                "who was removed, while the vendor had another provider",
                None,
                own(ADA, None, false),
                None,
                viewer,
                Err(Problem::Nobody),
            ),
            (
                "another account with a removed member's address",
                None,
                own(ADA, None, true),
                None,
                viewer,
                Err(Problem::OtherAccount),
            ),
            (
                "the same, invited again",
                None,
                own(ADA, None, true),
                INVITED,
                None,
                Ok(joined(Some(ADA), Role::Developer, INVITED)),
            ),
        ] {
            let known = Knowledge { account, address, invitation };
            assert_eq!(admit(&said("ada@acme.example", true), &rules(&[], newcomers), &known), expected, "{what}");
        }
    }

    #[test]
    fn an_account_of_the_server_becomes_a_member_by_its_own_word_alone() {
        let (support, viewer) = (Some(Role::Support), Some(Role::Viewer));
        for (what, account, address, invitation, newcomers, expected) in [
            ("another vendor's member", None, elsewhere(None, false), None, None, Err(Problem::Nobody)),
            (
                "the same as a newcomer",
                None,
                elsewhere(None, false),
                None,
                viewer,
                Ok(joined(None, Role::Viewer, None)),
            ),
            (
                "the same, invited: only a link makes the account of the server a member",
                None,
                elsewhere(None, false),
                INVITED,
                None,
                Ok(joined(None, Role::Developer, INVITED)),
            ),
            (
                "who joined by a link",
                None,
                elsewhere(support, false),
                None,
                None,
                Ok(Admission::Bound(BOB, Role::Support)),
            ),
            (
                "who was removed and joined by a link",
                own(ADA, None, true),
                elsewhere(support, false),
                None,
                None,
                Ok(Admission::Bound(BOB, Role::Support)),
            ),
            (
                "an account of the server that was removed and is invited again",
                elsewhere(None, true),
                elsewhere(None, true),
                INVITED,
                viewer,
                Ok(joined(None, Role::Developer, INVITED)),
            ),
        ] {
            let known = Knowledge { account, address, invitation };
            assert_eq!(admit(&said("ada@acme.example", true), &rules(&[], newcomers), &known), expected, "{what}");
        }
    }
}
