//! The options of the command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use lexopt::prelude::*;

use crate::engine::Limits;

/// The text for `--help`.
pub const HELP: &str = "\
partyline-media: a media server that speaks the HTTP API of Cloudflare's Realtime SFU

Options:
  --listen <ip:port>          Address of the HTTP API. Default: 127.0.0.1:2999
  --udp <ip:port>             Address of the UDP socket for all media. Default: 127.0.0.1:2999
  --public-address <ip:port>  Address at which clients reach the UDP socket. Default: --udp
  --app <id>                  Id of the app in the URLs of the API. Default: partyline
  --sessions <number>         Maximum number of sessions at the same time. Default: 1000
  --silence <seconds>         A track or session ends after this time without packets. Default: 30
  --unused <seconds>          A session ends after this time if it never connects. Default: 60
  --log <level>               error, warn, info or debug. Default: info
  --end-with-stdin            End when standard input closes, for programs that start this server
  --help, --version

A port of 0 lets the system choose. The log then contains it.

Environment:
  MEDIA_SECRET                The secret that clients of the HTTP API send as a Bearer token.
                              Required unless --listen is a loopback address.
";

/// The options of the command line and the secret.
#[derive(Clone, Debug)]
pub struct Args {
    /// Address of the HTTP API.
    pub listen: SocketAddr,
    /// Address of the UDP socket.
    pub udp: SocketAddr,
    /// Address at which clients reach the UDP socket. Default: the address of the socket.
    pub public_address: Option<SocketAddr>,
    /// Id of the app in the URLs of the API.
    pub app: String,
    /// The secret for the API. `None`: everybody on this machine can use it.
    pub secret: Option<String>,
    /// Limits of the engine.
    pub limits: Limits,
    /// The least important level that is logged.
    pub log: tracing::Level,
    /// Whether the server ends when its standard input closes.
    pub end_with_stdin: bool,
}

/// The task that the command line asks for.
pub enum Command {
    /// Start the server.
    Serve(Box<Args>),
    /// Print this text.
    Print(String),
}

impl Args {
    /// Reads the options and the secret.
    ///
    /// # Errors
    ///
    /// A text for the user, if an option is unknown or its value is invalid, or if the secret is
    /// missing.
    pub fn parse<I>(options: I, secret: Option<String>) -> Result<Command, String>
    where
        I: IntoIterator<Item: Into<OsString>>,
    {
        let local = SocketAddr::from(([127, 0, 0, 1], 2999));
        let mut args = Self {
            listen: local,
            udp: local,
            public_address: None,
            app: "partyline".into(),
            secret: secret.filter(|secret| !secret.is_empty()),
            limits: Limits::default(),
            log: tracing::Level::INFO,
            end_with_stdin: false,
        };
        let mut parser = lexopt::Parser::from_args(options);
        while let Some(option) = parser.next().map_err(|error| error.to_string())? {
            let name = match option {
                Short('h') => "help".to_owned(),
                Long(name) => name.to_owned(),
                other => return Err(other.unexpected().to_string()),
            };
            match name.as_str() {
                "help" => return Ok(Command::Print(HELP.into())),
                "version" => {
                    return Ok(Command::Print(env!("CARGO_PKG_VERSION").to_owned() + "\n"));
                }
                "listen" => args.listen = value(&mut parser, &name)?,
                "udp" => args.udp = value(&mut parser, &name)?,
                "public-address" => args.public_address = Some(value(&mut parser, &name)?),
                "app" => args.app = value(&mut parser, &name)?,
                "sessions" => args.limits.sessions = value(&mut parser, &name)?,
                "silence" => args.limits.silence = seconds(&mut parser, &name)?,
                "unused" => args.limits.unused = seconds(&mut parser, &name)?,
                "end-with-stdin" => args.end_with_stdin = true,
                "log" => args.log = value(&mut parser, &name)?,
                _ => {
                    return Err(format!(
                        "unknown option --{name}. --help lists the options."
                    ));
                }
            }
        }
        args.check().map(|()| Command::Serve(Box::new(args)))
    }

    fn check(&self) -> Result<(), String> {
        if self.secret.is_none() && !self.listen.ip().is_loopback() {
            return Err(format!(
                "--listen {} is reachable from other machines, so a secret is needed. Set \
                 MEDIA_SECRET.",
                self.listen
            ));
        }
        let public = self.public_address.unwrap_or(self.udp);
        if public.ip().is_unspecified() {
            return Err(format!(
                "clients cannot connect to {public}. Set --public-address to an address of this \
                 machine."
            ));
        }
        if !self
            .app
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(format!(
                "--app {:?} may have only letters, digits, - and _.",
                self.app
            ));
        }
        Ok(())
    }
}

fn value<T>(parser: &mut lexopt::Parser, name: &str) -> Result<T, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let value = parser.value().map_err(|error| error.to_string())?;
    let text = value.to_string_lossy();
    text.parse()
        .map_err(|error| format!("--{name} {text}: {error}. --help lists the options."))
}

fn seconds(parser: &mut lexopt::Parser, name: &str) -> Result<Duration, String> {
    let seconds: f64 = value(parser, name)?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if (Duration::from_millis(100)..=Duration::from_secs(86_400)).contains(&time) => {
            Ok(time)
        }
        _ => Err(format!(
            "--{name} {seconds} is not between 0.1 and 86400 seconds."
        )),
    }
}
