//! Links to the next page: found in a header, resolved against the request, followed only where the key may go.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

use crate::call::Call;

/// Returns the target of the `Link` header with the relation `rel` (RFC 8288).
pub(super) fn with_rel(headers: &HeaderMap, rel: &str) -> Option<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(links)
        .find(|(_, rels)| rels.iter().any(|known| known.eq_ignore_ascii_case(rel)))
        .map(|(target, _)| target)
}

/// Returns the targets in a `Link` header's value, each with its relations.
fn links(value: &str) -> Vec<(String, Vec<String>)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>').map(|at| open + at) else { break };
        let target = rest[open + 1..close].trim().to_owned();
        let after = &rest[close + 1..];
        // Parameters reach to the comma before the next `<`.
        let end = after.find('<').map_or(after.len(), |next| after[..next].rfind(',').unwrap_or(next));
        let rels = after[..end].split(';').filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches([',', '"', ' ']).to_owned())
        });
        let rels = rels.flat_map(|rels| rels.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
        links.push((target, rels));
        rest = &after[end..];
    }
    links
}

/// Returns the address that `link` leads to, which the response to `call` has. Its query stays as it is written: an API may have signed it.
///
/// # Errors
///
/// A message, if the link leads to another host: the key goes with the request, and no response may choose who gets it.
pub(super) fn resolve(base_url: &str, call: &Call<'_>, link: &str) -> Result<Url, String> {
    let base = Url::parse(base_url).map_err(|error| format!("`{base_url}` is not an address: {error}"))?;
    let current = if call.target.contains("://") {
        Url::parse(&call.target)
    } else {
        Url::parse(&format!("{}/{}", base_url.trim_end_matches('/'), call.target.trim_start_matches('/')))
    };
    let current = current.map_err(|error| format!("`{}` is not an address: {error}", call.target))?;
    let mut params: BTreeMap<String, String> = current.query_pairs().into_owned().collect();
    params.extend(call.params.clone());
    let link = expand(link, &params);
    let next =
        current.join(&link).map_err(|error| format!("the next page's link `{link}` is not an address: {error}"))?;
    if next.origin() != current.origin() && next.origin() != base.origin() {
        return Err(format!(
            "the next page's link leads to {}, not to {}: it is not followed, the key is not sent there. Where that is right, give it as `base_url`",
            next.origin().ascii_serialization(),
            current.origin().ascii_serialization()
        ));
    }
    Ok(next)
}

/// Fills a URI template's form expressions, `{?a,b}` and `{&a,b}` (RFC 6570), with the request's own parameters. Ticketmaster's links are
/// such templates. Other braces are part of the link, as in `?filter={"status":"on sale"}`.
fn expand(link: &str, params: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = link;
    while let Some(open) = rest.find('{') {
        let (before, expression) = rest.split_at(open);
        expanded.push_str(before);
        let names = expression[1..].strip_prefix(['?', '&']).and_then(|names| names.split_once('}'));
        let Some((names, after)) = names else {
            expanded.push('{');
            rest = &expression[1..];
            continue;
        };
        for name in names.split(',').map(|name| name.trim_end_matches('*')) {
            let Some(value) = params.get(name) else { continue };
            expanded.push(if expanded.contains('?') { '&' } else { '?' });
            expanded.extend([name, "="]);
            expanded.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_of_a_header_has_its_relations() {
        let mut headers = HeaderMap::new();
        let value = "<https://a.example/x?page=1,2>; rel=\"first\", <https://a.example/x?after=Y>; rel=\"next last\"; title=\"a, b\"";
        headers.insert(LINK, value.parse().unwrap());
        headers.append(LINK, "</rel>; rel=prev".parse().unwrap());
        assert_eq!(with_rel(&headers, "next").as_deref(), Some("https://a.example/x?after=Y"));
        assert_eq!(with_rel(&headers, "first").as_deref(), Some("https://a.example/x?page=1,2"));
        assert_eq!(with_rel(&headers, "prev").as_deref(), Some("/rel"));
        assert_eq!(with_rel(&headers, "up"), None);
    }

    #[test]
    fn a_template_is_filled_with_the_request_s_parameters() {
        let params = [("sort".to_owned(), "id,asc".to_owned())].into();
        assert_eq!(expand("/e.json?page=1&size=2{&sort}", &params), "/e.json?page=1&size=2&sort=id%2Casc");
        assert_eq!(expand("/e.json{?page,size}", &params), "/e.json");
        for whole in [r#"/e?filter={"status":"on sale"}&page=2"#, "/e?a={sort}", "/e{", "/e{?sort", "/e}{"] {
            assert_eq!(expand(whole, &params), whole);
        }
        assert_eq!(expand("/e?a={}{&sort}", &params), "/e?a={}&sort=id%2Casc");
    }
}
