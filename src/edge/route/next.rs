//! The parameter `next` in the URL of a matchbox client: the number of clients that meet in a group.

use super::{HttpError, Join};
use crate::edge::quote::shorten;

/// Reads the parameter. A group of one client would never meet anybody.
pub(super) fn read(value: &str) -> Result<usize, HttpError> {
    let size = value.parse().ok().filter(|size| *size >= 2);
    size.ok_or_else(|| {
        let value = shorten(value);
        bad_next(format!(
            "`next` is {value}: expected the number of clients that meet, at least 2"
        ))
    })
}

/// Checks that a group may have this size. `max`: the maximum number of members of a group.
///
/// # Errors
///
/// 400 `bad-next`
pub fn check_next(join: &Join, max: usize) -> Result<(), HttpError> {
    match join.next {
        Some(next) if next > max => Err(bad_next(format!(
            "`next` is {next}: expected at most {max}, which is MAX_PEERS. Use a lower number"
        ))),
        _ => Ok(()),
    }
}

fn bad_next(message: String) -> HttpError {
    HttpError::new(400, "bad-next", message)
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{join, status};
    use super::super::{Join, Route};
    use super::*;

    fn matchbox(path: &str, query: &str) -> Result<Join, HttpError> {
        match join(path, query)? {
            Route::Join(join) => Ok(join),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_matchbox_client_has_a_group_size() {
        let next = |path, query| matchbox(path, query).unwrap().next;
        let path = "/parties/main/demo/matchbox";
        assert_eq!(next(path, "next=2&token=t"), Some(2));
        assert_eq!(next(path, ""), None);
        assert_eq!(
            next("/parties/main/demo", "dialect=matchbox&next=64"),
            Some(64)
        );
        assert_eq!(next("/parties/main/demo", "next=x"), None);
        assert_eq!(next("/parties/main/demo/rxdb", "next=0"), None);
    }

    #[test]
    fn an_invalid_group_size_is_refused() {
        let path = "/parties/main/demo/matchbox";
        for next in ["", "0", "1", "-2", "2.0", "x", "99999999999999999999"] {
            let refused = join(path, &format!("next={next}"));
            assert_eq!(status(refused), 400, "{next:?}");
        }
        let check = |next| check_next(&matchbox(path, &format!("next={next}")).unwrap(), 8);
        assert!(check(8).is_ok());
        let error = check(9).unwrap_err();
        assert_eq!((error.status, error.code), (400, "bad-next"));
        assert_eq!(check_next(&matchbox(path, "").unwrap(), 1), Ok(()));
    }
}
