use crate::core::text::split_once;

/// Splits an absolute URL into path and query, without the fragment.
///
/// The URL of a request always has a host and a path (URL §4.5). In any other string, a missing
/// path becomes `/`.
#[must_use]
pub fn split_url(url: &str) -> (&str, &str) {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let host = split_once(address, "://").map_or(address, |(_, host)| host);
    let path = host.find('/').and_then(|path| host.get(path..));
    (path.unwrap_or("/"), query)
}

/// Returns the host of an absolute URL, with its port. Returns `None` if the text is no such URL.
#[must_use]
pub fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = split_once(url, "://")?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_has_its_port() {
        for (url, host) in [
            (
                "http://localhost:1999/create-session",
                Some("localhost:1999"),
            ),
            ("https://[::1]", Some("[::1]")),
            ("https://a.example?/", Some("a.example")),
            ("null", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }

    #[test]
    fn a_url_splits_into_path_and_query() {
        for (url, parts) in [
            ("http://a.example/b/c?d=/?&e#f?", ("/b/c", "d=/?&e")),
            ("https://a:8080/", ("/", "")),
            ("https://a/b://c", ("/b://c", "")),
            ("https://a", ("/", "")),
            ("", ("/", "")),
        ] {
            assert_eq!(split_url(url), parts, "{url}");
        }
    }
}
