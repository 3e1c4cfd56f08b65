//! People of a vendor, and what each of them may do.

use std::{fmt, str::FromStr};

/// What a member is to a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees. Nothing else.
    Viewer,
    /// Helps buyers: writes to them again, frees devices, freezes, extends by a month.
    Support,
    /// Connects: providers, prices, plans, webhooks, API keys.
    Developer,
    /// All but deciding who owns.
    Admin,
    /// All.
    Owner,
}

/// Something that not everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ability {
    /// Look at everything but secrets: keys, tokens and what signs.
    Look,
    /// Help a buyer: mails again and elsewhere, devices freed, freezing and its undo, an extension of
    /// [`SUPPORT_EXTENDS_DAYS`] at most.
    Help,
    /// Give and take: issue, revoke, any extension, another plan or other limits, approve, all that a filter finds at once,
    /// and exports.
    Decide,
    /// See the key of a license.
    Reveal,
    /// Change what is sold, to whom it is connected, what buyers are written, and who is told: also replay, reconcile,
    /// redeliver, and make API keys.
    Configure,
    /// Say who else is a member.
    Staff,
}

/// By how many days somebody extends who only helps.
pub const SUPPORT_EXTENDS_DAYS: u32 = 30;

/// No role has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a member is an owner, admin, developer, support or viewer")]
pub struct UnknownRole;

impl Role {
    /// All of them, those who may most first.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Developer, Self::Support, Self::Viewer];

    /// The word for it, as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// What it is for, as a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Viewer => "Sees everything but secrets.",
            Self::Support => "Helps buyers: resends, corrects addresses, frees devices, freezes, extends by 30 days.",
            Self::Developer => "Connects: providers, plans and prices, webhooks, API keys. Also helps buyers.",
            Self::Admin => "May do everything but make owners.",
            Self::Owner => "May do everything.",
        }
    }

    /// Whether a member with this role may do it.
    #[must_use]
    pub const fn may(self, ability: Ability) -> bool {
        match ability {
            Ability::Look => true,
            Ability::Help => !matches!(self, Self::Viewer),
            Ability::Configure => matches!(self, Self::Developer | Self::Admin | Self::Owner),
            Ability::Decide | Ability::Reveal | Ability::Staff => matches!(self, Self::Admin | Self::Owner),
        }
    }

    /// Whether a member with this role may make another one that, or take it from them.
    #[must_use]
    pub const fn may_staff(self, other: Self) -> bool {
        match other {
            Self::Owner => matches!(self, Self::Owner),
            _ => self.may(Ability::Staff),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// How long nobody may try again after so many wrong answers in a row: the first four cost nothing, then a second, twice as
/// long each time, a minute at most. Longer would let a stranger lock a member out.
#[must_use]
pub const fn wait_seconds(wrong_in_a_row: u32) -> u32 {
    const FREE: u32 = 4;
    const LONGEST: u32 = 60;
    match wrong_in_a_row.checked_sub(FREE + 1) {
        None => 0,
        Some(doublings @ 0..6) => 1 << doublings,
        Some(_) => LONGEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_what() {
        use Ability::{Configure, Decide, Help, Look, Reveal, Staff};
        for (role, abilities) in [
            (Role::Viewer, &[Look][..]),
            (Role::Support, &[Look, Help]),
            (Role::Developer, &[Look, Help, Configure]),
            (Role::Admin, &[Look, Help, Decide, Reveal, Configure, Staff]),
            (Role::Owner, &[Look, Help, Decide, Reveal, Configure, Staff]),
        ] {
            for ability in [Look, Help, Decide, Reveal, Configure, Staff] {
                assert_eq!(role.may(ability), abilities.contains(&ability), "{role} {ability:?}");
            }
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(role.may_staff(Role::Owner), role == Role::Owner);
            assert_eq!(role.may_staff(Role::Admin), role.may(Staff));
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }

    #[test]
    fn wrong_answers_cost_time_and_never_much() {
        let waits: Vec<u32> = (0..=12).map(wait_seconds).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait_seconds(u32::MAX), 60);
    }
}
