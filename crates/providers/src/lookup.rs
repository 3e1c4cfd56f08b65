//! Look-ups: what has been answered, and what is still to be asked.

use domain::fact::Fact;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    Level, Malformed, Step,
    http::{Answer, Request},
};

/// Why a translation stops before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This must be asked first.
    Ask(Request),
    /// This is known, and asking would tell more.
    Tell(Vec<Fact>, Request),
    /// It makes no sense.
    Malformed(Malformed),
}

impl Stop {
    /// What a translation came to, as the shell wants it.
    pub(crate) fn or_facts(told: Result<Vec<Fact>, Self>) -> Result<Step, Malformed> {
        match told {
            Ok(facts) => Ok(Step::Facts(facts)),
            Err(Self::Ask(request)) => Ok(Step::Need(vec![request])),
            Err(Self::Tell(facts, request)) => Ok(Step::Partly { facts, wanted: vec![request] }),
            Err(Self::Malformed(malformed)) => Err(malformed),
        }
    }
}

/// What is known, with what a look-up adds to it. Until that is answered the rest is told already: nothing that is paid waits
/// for something else.
pub(crate) fn together(mut known: Vec<Fact>, added: Result<Option<Fact>, Stop>) -> Result<Vec<Fact>, Stop> {
    match added {
        Ok(added) => {
            known.extend(added);
            Ok(known)
        }
        Err(Stop::Ask(request)) => Err(Stop::Tell(known, request)),
        Err(stop) => Err(stop),
    }
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// This, true at that moment.
    It(T, Timestamp),
    /// The key may not read it.
    Forbidden,
    /// It is not there: deleted, of the other mode, or not known in this version of the API.
    Nothing,
}

/// What may be asked, and the answers so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookUps<'a> {
    pub(crate) level: Level,
    pub(crate) answers: &'a [Answer],
}

impl LookUps<'_> {
    /// The document at that path.
    pub(crate) fn get<T: DeserializeOwned>(self, path: String) -> Result<Found<T>, Stop> {
        let request = Request::get(path);
        // Asked twice, the later answer counts.
        let answers = self.answers.iter().filter(|answer| answer.request == request);
        let Some(answer) = answers.max_by_key(|answer| answer.asked_at) else {
            return Err(Stop::Ask(request));
        };
        match answer.status {
            200..=299 => match serde_json::from_str(&answer.body) {
                Ok(document) => Ok(Found::It(document, answer.asked_at)),
                // Held with its reason, rather than taken for something that is not there.
                Err(error) => {
                    let what = format!("the answer to GET {} does not read: {error}", answer.request.path);
                    Err(Stop::Malformed(Malformed { what }))
                }
            },
            _ if answer.is_refusal() => Ok(Found::Forbidden),
            _ => Ok(Found::Nothing),
        }
    }
}
