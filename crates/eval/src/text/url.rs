//! Absolute URLs of the web.

/// `http` or `https`, a host, and nothing that a URL cannot hold (RFC 3986; letters of other scripts
/// pass, as browsers take them).
pub(crate) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let forbidden = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '|' | '}')
    };
    if !web || rest.chars().any(forbidden) {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_port = authority.rsplit('@').next().unwrap_or_default();
    if let Some(rest) = host_port.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    match host_port.rsplit_once(':') {
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_host(host_port),
    }
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let whole = label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
        !label.is_empty() && label.len() <= 63 && whole && !label.starts_with('-') && !label.ends_with('-')
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let numeric = host.split('.').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && (!numeric || host.parse::<std::net::Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_url;

    #[test]
    fn urls() {
        for yes in [
            "https://example.com",
            "http://localhost:8080/a?b=c#d",
            "HTTPS://user:pw@example.co.uk/",
            "https://127.0.0.1/x",
            "https://[::1]:443/",
            "https://müller.example/ä",
        ] {
            assert!(is_url(yes), "{yes}");
        }
        for no in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///path",
            "https://a b.com",
            "https://-a.com",
            "https://a..b",
            "https://example.com:99999",
            "https://300.1.1.1",
            "https://[::g]/",
            "see https://example.com",
            "https://example.com/<x>",
        ] {
            assert!(!is_url(no), "{no}");
        }
    }
}
