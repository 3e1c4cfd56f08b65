//! What a person reads of what was wrong with what they sent. What failed otherwise is no fault of a form.

use engine::{
    configuration::{ConfigurationError, Problem},
    webhooks::WebhookError,
};

use super::{refusal::Refusal, words::sentence};

/// What cannot be configured so.
pub(crate) fn of_configuration(error: ConfigurationError) -> Result<String, Refusal> {
    match error {
        ConfigurationError::Problems(problems) | ConfigurationError::Addresses(problems) => {
            Ok(problems.iter().map(told).collect::<Vec<_>>().join(" "))
        }
        ConfigurationError::Exists(what, name) => {
            Ok(format!("There is a {what} {name} already; take another name, or change that one."))
        }
        ConfigurationError::Missing(..) => Err(Refusal::NotFound),
        ConfigurationError::Engine(error) => Err(error.into()),
    }
}

/// A form is about one thing, which need not be named again.
fn told(problem: &Problem) -> String {
    match problem.field {
        Some(field) => format!("{}: {}", sentence(&field.replace('_', " ")).trim_end_matches('.'), ended(problem)),
        None => sentence(&problem.message),
    }
}

fn ended(problem: &Problem) -> String {
    let message = problem.message.as_str();
    if message.ends_with('.') { message.to_owned() } else { format!("{message}.") }
}

/// What cannot be done with an address or a delivery.
pub(crate) fn of_webhook(error: WebhookError) -> Result<String, Refusal> {
    match error {
        WebhookError::NoEndpoint(_) | WebhookError::NoDelivery(_) | WebhookError::NoRecovery(_) => {
            Err(Refusal::NotFound)
        }
        WebhookError::Engine(error) => Err(error.into()),
        other => Ok(sentence(&other)),
    }
}
