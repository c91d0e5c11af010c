//! The secrets that tokens and keys are signed with.

use crate::edge::setting::{BadSetting, strong_secret};
use crate::edge::signature::is_signed;

/// The name of the setting for the current secret.
const CURRENT: &str = "ROOM_SECRET";
/// The name of the setting for the previous secret.
const PREVIOUS: &str = "ROOM_SECRET_PREVIOUS";

/// The secret of the server, and the secret before it. Tokens and keys of the previous secret stay valid,
/// so an operator can replace the secret while tokens are in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// `ROOM_SECRET`: signs everything that the server issues.
    pub current: String,
    /// `ROOM_SECRET_PREVIOUS`: signatures by this secret are accepted too. `None`: only the current
    /// secret is accepted.
    pub previous: Option<String>,
}

impl Secrets {
    /// Reads the secrets. Returns `None` if tokens are not required.
    ///
    /// # Errors
    ///
    /// A secret is shorter than 32 bytes, or there is a previous secret without a current one.
    pub(in crate::edge) fn read(
        find: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BadSetting> {
        let current = strong_secret(CURRENT, find(CURRENT))?;
        let previous = strong_secret(PREVIOUS, find(PREVIOUS))?;
        match current {
            Some(current) => Ok(Some(Self { current, previous })),
            None if previous.is_none() => Ok(None),
            // Without ROOM_SECRET, everybody could join a server that required tokens before.
            None => {
                let expected = "set, because ROOM_SECRET_PREVIOUS is set";
                Err(BadSetting::secret(CURRENT, "is missing", expected))
            }
        }
    }

    /// Returns whether one of the secrets has signed `text`. Compares in constant time.
    pub(super) fn have_signed(&self, text: &str, signature: &[u8]) -> bool {
        let previous = self.previous.iter();
        let mut secrets = std::iter::once(&self.current).chain(previous);
        secrets.any(|secret| is_signed(secret, text, signature))
    }
}

/// The secrets of a server whose secret has not been replaced.
impl From<&str> for Secrets {
    fn from(current: &str) -> Self {
        Self {
            current: current.to_owned(),
            previous: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::signature::sign;

    fn read(current: Option<&str>, previous: Option<&str>) -> Result<Option<Secrets>, String> {
        let secrets = Secrets::read(|name| {
            let value = if name == CURRENT { current } else { previous };
            value.map(str::to_owned)
        });
        secrets.map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_previous_secret_must_be_strong_and_needs_a_current_one() {
        let (new, old) = ("n".repeat(32), "o".repeat(32));
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some(&new), None), Ok(Some(Secrets::from(&*new))));
        assert!(read(Some(&new), Some(&old)).unwrap().is_some());
        assert_eq!(
            read(None, Some(&old)).unwrap_err(),
            "the setting ROOM_SECRET is missing: it must be set, because ROOM_SECRET_PREVIOUS is set. \
             Set it with `npx wrangler secret put ROOM_SECRET`"
        );
        let short = read(Some(&new), Some("hunter2")).unwrap_err();
        assert!(
            short.starts_with("the setting ROOM_SECRET_PREVIOUS has 7 bytes"),
            "{short}"
        );
    }

    #[test]
    fn signatures_of_both_secrets_are_valid_and_no_others() {
        let secrets = Secrets {
            previous: Some("old".to_owned()),
            ..Secrets::from("new")
        };
        for (secret, valid) in [("new", true), ("old", true), ("older", false)] {
            let signature = sign(secret, "text").unwrap();
            assert_eq!(secrets.have_signed("text", &signature), valid, "{secret}");
            assert!(!secrets.have_signed("other", &signature), "{secret}");
        }
        assert!(!Secrets::from("new").have_signed("text", &sign("old", "text").unwrap()));
    }
}
