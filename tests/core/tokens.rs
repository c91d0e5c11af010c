//! Tokens are held to what a library makes of them that can read all kinds: what it takes for a forgery
//! is never let in here, and what it mints always is.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use partyline::core::peer::{PeerId, Time};
use partyline::edge::admission::check_token;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};

const SECRET: &str = "a secret that is long enough to be one";
const NOW: u64 = 1_800_000_000;

/// Is it let in, as ann, into the room demo?
fn ours(token: &str) -> bool {
    let ann = PeerId::parse("ann");
    let now = Time(NOW * 1_000);
    check_token(SECRET, Some(token), now, "demo", ann.as_ref()).is_ok()
}

/// The same, by the library's reading and the plain meaning of the claims.
fn theirs(token: &str) -> bool {
    let mut validation = Validation::new(Algorithm::HS256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    let Ok(token) = jsonwebtoken::decode::<Value>(token, &key, &validation) else {
        return false;
    };
    let claims = token.claims;
    let (now, text) = (NOW as f64, |key: &str| claims[key].as_str());
    claims["exp"].as_f64().is_some_and(|exp| exp > now)
        && (claims["nbf"].is_null() || claims["nbf"].as_f64().is_some_and(|nbf| nbf <= now))
        && matches!(text("room"), Some("demo" | "*"))
        && (claims["sub"].is_null() || text("sub") == Some("ann"))
}

/// Times as libraries write them.
fn usual() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        Just(json!(NOW + 60)),
        Just(json!(NOW as f64 + 0.5)),
        Just(json!(NOW)),
        Just(json!(NOW - 60)),
        Just(json!("soon")),
        Just(Value::Null),
    ]
}

/// Times as nobody writes them: those may be refused here.
fn unusual() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        Just(json!(1e300)),
        Just(json!(-1)),
        Just(json!(-1.5)),
        Just(json!(u64::MAX))
    ]
}

fn claims(time: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = Value> {
    let text = |right: &'static str| {
        prop_oneof![
            3 => Just(json!(right)),
            1 => Just(json!("*")),
            1 => Just(json!("somebody else")),
            1 => Just(Value::Null),
            1 => Just(json!([right])),
        ]
    };
    (
        time.clone(),
        proptest::option::of(time),
        text("demo"),
        proptest::option::of(text("ann")),
    )
        .prop_map(|(exp, nbf, room, sub)| {
            let mut claims =
                json!({ "exp": exp, "room": room, "iss": "\u{e4}\n\"", "n": [1.5e3, {}] });
            if let Some(nbf) = nbf {
                claims["nbf"] = nbf;
            }
            if let Some(sub) = sub {
                claims["sub"] = sub;
            }
            claims
        })
}

fn minted(time: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = String> {
    let algorithm = prop_oneof![
        4 => Just(Algorithm::HS256), 1 => Just(Algorithm::HS384), 1 => Just(Algorithm::HS512),
    ];
    let secret = prop_oneof![4 => Just(SECRET), 1 => Just("another one"), 1 => Just("")];
    (claims(time), algorithm, secret).prop_map(|(claims, algorithm, secret)| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap()
    })
}

proptest! {
    #![proptest_config(Config { cases: 20_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_minted_token_means_the_same_here_as_to_the_library(token in minted(usual())) {
        prop_assert_eq!(ours(&token), theirs(&token), "{}", token);
    }

    #[test]
    fn a_token_that_the_library_takes_for_a_forgery_is_never_let_in(
        token in minted(prop_oneof![usual(), unusual()].boxed()),
        place in any::<prop::sample::Index>(),
        put in prop_oneof![Just(""), Just("."), Just("A"), Just("="), Just("-"), Just("\u{e4}"), Just("=.")],
        cut in 0..3_usize,
    ) {
        let place = place.index(token.len() + 1);
        let rest = &token[token.len().min(place + cut)..];
        let forged = format!("{}{put}{rest}", &token[..place]);
        prop_assert!(!ours(&forged) || theirs(&forged), "{}", forged);
    }
}
