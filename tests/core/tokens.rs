//! Compares the token check with the `jsonwebtoken` library. A token that the library rejects must
//! be refused. A token that the library creates must get the same result from both checks.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use partyline::core::peer::{PeerId, Time};
use partyline::edge::admission::check_token;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};

const SECRET: &str = "a secret that is long enough to be one";
const NOW: u64 = 1_800_000_000;

/// Returns whether our check admits the token for peer `ann` in room `demo`.
fn ours(token: &str) -> bool {
    let ann = PeerId::parse("ann");
    let now = Time(NOW * 1_000);
    check_token(&SECRET.into(), Some(token), now, Some("demo"), ann.as_ref()).is_ok()
}

/// Returns whether the library, with the rules for our claims, admits the same token.
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
        && (claims["nbf"].is_null() || claims["nbf"].as_f64().is_some_and(|nbf| nbf <= now + 60.0))
        && matches!(text("room"), Some("demo" | "*"))
        && (claims["sub"].is_null() || text("sub") == Some("ann"))
}

/// Generates times in the forms that token libraries write.
fn usual() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        Just(json!(NOW + 60)),
        Just(json!(NOW + 61)),
        Just(json!(NOW as f64 + 0.5)),
        Just(json!(NOW)),
        Just(json!(NOW - 60)),
        Just(json!("soon")),
        Just(Value::Null),
    ]
}

/// Generates times in forms that no token library writes. Our check may refuse them although the
/// library accepts them.
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
    fn a_minted_token_has_the_same_outcome_as_in_the_library(token in minted(usual())) {
        prop_assert_eq!(ours(&token), theirs(&token), "{}", token);
    }

    #[test]
    fn a_token_that_the_library_rejects_is_never_admitted(
        token in minted(prop_oneof![usual(), unusual()].boxed()),
        position in any::<prop::sample::Index>(),
        inserted in prop_oneof![Just(""), Just("."), Just("A"), Just("="), Just("-"), Just("\u{e4}"), Just("=.")],
        cut in 0..3_usize,
    ) {
        let position = position.index(token.len() + 1);
        let rest = &token[token.len().min(position + cut)..];
        let forged = format!("{}{inserted}{rest}", &token[..position]);
        prop_assert!(!ours(&forged) || theirs(&forged), "{}", forged);
    }
}
