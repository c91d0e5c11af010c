//! The options of the command line.

use partyline_media::args::{Args, Command, HELP};

fn parse(options: &str, secret: Option<&str>) -> Result<Args, String> {
    let options = options.split_whitespace();
    match Args::parse(options, secret.map(String::from)) {
        Ok(Command::Serve(args)) => Ok(*args),
        Ok(Command::Print(text)) => Err(text),
        Err(error) => Err(error),
    }
}

#[test]
fn the_defaults_are_for_this_machine_only() {
    let args = parse("", None).unwrap();
    assert_eq!(args.listen.to_string(), "127.0.0.1:2999");
    assert_eq!(args.udp.to_string(), "127.0.0.1:2999");
    assert_eq!((args.public_address, args.secret), (None, None));
    assert_eq!(args.app, "partyline");
    assert_eq!(args.limits.silence.as_secs(), 30);
    assert_eq!(args.limits.sessions, 1000);
}

#[test]
fn other_machines_need_a_secret() {
    let error = parse("--listen 0.0.0.0:2999", None).unwrap_err();
    assert!(error.contains("MEDIA_SECRET"), "{error}");
    assert!(
        parse("--listen 0.0.0.0:2999", Some("")).is_err(),
        "an empty secret is none"
    );
    assert!(parse("--listen 0.0.0.0:2999", Some("long")).is_ok());
    assert!(parse("--listen [::1]:2999", None).is_ok());
}

#[test]
fn clients_need_an_address_that_they_can_reach() {
    let error = parse("--udp 0.0.0.0:3478", None).unwrap_err();
    assert!(error.contains("--public-address"), "{error}");
    assert!(parse("--udp 0.0.0.0:3478 --public-address 203.0.113.5:3478", None).is_ok());
}

#[test]
fn a_wrong_option_is_quoted() {
    for (options, expected) in [
        ("--listn 1", "--listn"),
        ("--listen here", "--listen here"),
        ("--sessions", "--sessions"),
        ("--silence 0", "--silence 0"),
        ("--silence NaN", "--silence NaN"),
        ("--app a/b", "a/b"),
        ("positional", "positional"),
    ] {
        let error = parse(options, None).unwrap_err();
        assert!(error.contains(expected), "{options}: {error}");
    }
    assert_eq!(parse("--help", None).unwrap_err(), HELP);
}

#[test]
fn the_readme_lists_every_option() {
    let names = |text: &str| {
        let words = text.split(|c: char| c.is_whitespace() || c == '`' || c == ',');
        let names = words.filter(|word| word.starts_with("--") && word.len() > 2);
        names
            .map(String::from)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let table = include_str!("../README.md").lines();
    let table: String = table.filter(|line| line.starts_with("| `--")).collect();
    let mut help = names(HELP);
    help.retain(|name| name != "--help" && name != "--version");
    assert_eq!(names(&table), help);
}
