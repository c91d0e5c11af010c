/// Splits an absolute URL into path and query, without the fragment.
///
/// The URL of a request always has a host and a path (URL §4.5). In any other string, a missing
/// path becomes `/`.
#[must_use]
pub fn split_url(url: &str) -> (&str, &str) {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let host = address
        .find("://")
        .map_or(0, |scheme| scheme.saturating_add(3));
    let host = address.get(host..).unwrap_or_default();
    let path = host.find('/').and_then(|path| host.get(path..));
    (path.unwrap_or("/"), query)
}

#[cfg(test)]
mod tests {
    use super::*;

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
