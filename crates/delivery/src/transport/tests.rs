//! What the services' answers mean, as they are worded in their documentation.

use jiff::{SignedDuration, Timestamp};
use net::Response;

use super::{Outcome, answer::Answer, postmark, resend, ses};

type Read = fn(&Answer) -> Outcome;

fn answer(status: u16, header: (&'static str, &str), body: &str) -> Answer {
    let mut headers = http::HeaderMap::new();
    if !header.0.is_empty() {
        headers.insert(header.0, header.1.parse().unwrap());
    }
    let response = Response { status, headers, body: body.to_owned().into(), truncated: false, peer: None };
    Answer::read(&response, Timestamp::UNIX_EPOCH)
}

/// Checks answers: status, body, and what they mean.
fn mean(read: Read, cases: &[(u16, &str, &str, &str)]) {
    for (status, body, expected, said) in cases {
        let found = match read(&answer(*status, ("", ""), body)) {
            Outcome::Accepted { response } => ("accepted", response),
            Outcome::Later { response, .. } => ("later", response),
            Outcome::Unanswered { response } => ("unanswered", response),
            Outcome::Away { response } => ("away", response),
            Outcome::Refused { response } => ("refused", response),
        };
        assert_eq!(found, (*expected, (*said).to_owned()), "{status} {body}");
    }
}

#[test]
fn postmarks_answers() {
    mean(
        postmark::outcome,
        &[
            (200, r#"{"ErrorCode":0,"Message":"OK","MessageID":"b7bc"}"#, "accepted", "200 accepted as b7bc"),
            (422, r#"{"ErrorCode":300,"Message":"Invalid 'To'."}"#, "refused", "422 code 300: Invalid 'To'."),
            (422, r#"{"ErrorCode":406,"Message":"Inactive."}"#, "refused", "422 code 406: Inactive."),
            (200, r#"{"ErrorCode":406,"Message":"Inactive."}"#, "refused", "200 code 406: Inactive."),
            (401, r#"{"ErrorCode":10,"Message":"Bad token."}"#, "away", "401 code 10: Bad token."),
            (422, r#"{"ErrorCode":400,"Message":"No signature."}"#, "away", "422 code 400: No signature."),
            (422, r#"{"ErrorCode":412,"Message":"Pending."}"#, "away", "422 code 412: Pending."),
            (429, r#"{"ErrorCode":429,"Message":"Slow."}"#, "later", "429 code 429: Slow."),
            (503, r#"{"ErrorCode":100,"Message":"Maintenance."}"#, "later", "503 code 100: Maintenance."),
            (500, r#"{"ErrorCode":701,"Message":"x"}"#, "later", "500 code 701: x"),
            (502, "<html>", "later", "502 without a reason"),
            (302, "", "away", "302 without a reason"),
        ],
    );
}

#[test]
fn resends_answers() {
    mean(
        resend::outcome,
        &[
            (200, r#"{"id":"49a3"}"#, "accepted", "200 accepted as 49a3"),
            (422, r#"{"name":"validation_error","message":"bad to"}"#, "refused", "422 validation_error: bad to"),
            (400, r#"{"name":"validation_error","message":"bad to"}"#, "refused", "400 validation_error: bad to"),
            (422, r#"{"name":"missing_required_field","message":"x"}"#, "refused", "422 missing_required_field: x"),
            (451, r#"{"name":"security_error","message":"x"}"#, "refused", "451 security_error: x"),
            (
                400,
                r#"{"name":"validation_error","message":"API key is invalid"}"#,
                "away",
                "400 validation_error: API key is invalid",
            ),
            (401, r#"{"name":"missing_api_key","message":"x"}"#, "away", "401 missing_api_key: x"),
            (
                403,
                r#"{"name":"validation_error","message":"not verified"}"#,
                "away",
                "403 validation_error: not verified",
            ),
            (422, r#"{"name":"invalid_from_address","message":"x"}"#, "away", "422 invalid_from_address: x"),
            (429, r#"{"name":"daily_quota_exceeded","message":"x"}"#, "away", "429 daily_quota_exceeded: x"),
            (429, r#"{"name":"rate_limit_exceeded","message":"x"}"#, "later", "429 rate_limit_exceeded: x"),
            (409, r#"{"name":"concurrent_idempotent_requests"}"#, "later", "409 concurrent_idempotent_requests:"),
            (500, r#"{"name":"application_error","message":"x"}"#, "later", "500 application_error: x"),
            (503, "", "later", "503 without a reason"),
        ],
    );
}

#[test]
fn amazons_answers() {
    mean(
        ses::outcome,
        &[
            (200, r#"{"MessageId":"0100"}"#, "accepted", "200 accepted as 0100"),
            (400, r#"{"__type":"MessageRejected","message":"virus"}"#, "refused", "400 MessageRejected: virus"),
            (400, r#"{"__type":"a.b#BadRequestException","Message":"x"}"#, "refused", "400 BadRequestException: x"),
            (
                400,
                r#"{"__type":"MessageRejected","message":"Email address is not verified."}"#,
                "away",
                "400 MessageRejected: Email address is not verified.",
            ),
            (400, r#"{"__type":"SendingPausedException","message":"x"}"#, "away", "400 SendingPausedException: x"),
            (
                403,
                r#"{"__type":"InvalidSignatureException","message":"x"}"#,
                "away",
                "403 InvalidSignatureException: x",
            ),
            (429, r#"{"__type":"TooManyRequestsException","message":"x"}"#, "later", "429 TooManyRequestsException: x"),
            (400, r#"{"__type":"LimitExceededException","message":"x"}"#, "later", "400 LimitExceededException: x"),
            (500, "", "later", "500 without a reason"),
        ],
    );
    let by_header =
        answer(400, ("x-amzn-errortype", "MessageRejected:http://internal.amazon.test/x/"), r#"{"message":"x"}"#);
    assert_eq!(ses::outcome(&by_header), Outcome::Refused { response: "400 MessageRejected: x".to_owned() });
}

#[test]
fn time_that_is_asked_for_goes_along() {
    for read in [postmark::outcome, resend::outcome, ses::outcome] as [Read; 3] {
        let Outcome::Later { retry_after, .. } = read(&answer(429, ("retry-after", "7"), "")) else { panic!("later") };
        assert_eq!(retry_after, Some(SignedDuration::from_secs(7)));
    }
}
