//! What README shows in Rust does what README says.

use jsonwebtoken::EncodingKey;
use partyline::core::peer::{PeerId, Time};
use partyline::edge::admission::check_token;

/// The lines of README, as they stand there.
#[rustfmt::skip]
fn mint(secret: &[u8]) -> Result<String, jsonwebtoken::errors::Error> {
    let exp = jsonwebtoken::get_current_timestamp() + 600;
    let claims = serde_json::json!({ "room": "demo", "sub": "ann", "exp": exp });
    let token = jsonwebtoken::encode(&Default::default(), &claims, &EncodingKey::from_secret(secret))?;
    Ok(token)
}

#[test]
fn a_token_made_in_three_lines_of_rust_lets_in() {
    let secret = "a secret that is long enough to be one";
    let token = mint(secret.as_bytes()).unwrap();
    let now = Time(jsonwebtoken::get_current_timestamp() * 1_000);
    let check = |room, id| check_token(secret, Some(&token), now, room, PeerId::parse(id).as_ref());
    assert_eq!(check("demo", "ann"), Ok(()));
    assert!(check("other", "ann").is_err() && check("demo", "bob").is_err());
}

#[test]
fn those_lines_are_the_ones_in_readme() {
    let (here, readme) = (include_str!("readme.rs"), include_str!("../../README.md"));
    let (_, code) = readme.split_once("```rust\n").expect("README has Rust");
    let (code, _) = code.split_once("```").expect("and it ends");
    for line in code.lines() {
        assert!(here.contains(line), "{line}");
    }
}
