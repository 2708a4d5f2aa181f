//! What an operator can do about an answer of a server that is no success.

use url::Url;

use super::{ServerUrl, server_url::RECEIVE_PATH};

/// What can be done about an answer with this status. `location` is what a redirect names; `has_token` says whether a token
/// was sent.
pub(super) fn for_status(status: u16, location: Option<&str>, server: &ServerUrl, has_token: bool) -> String {
    match status {
        300..=399 => match location.and_then(|location| moved_to(server, location)) {
            Some(to) => format!("the server is now at {to}: change the URL of the output to it"),
            None => "change the URL of the output to where the server is now".to_owned(),
        },
        401 | 403 if has_token => "correct the token of the output, or allow it at the server".to_owned(),
        401 | 403 => "set the `token` of the output, which the server asks for".to_owned(),
        404 | 405 => {
            format!("check the path of the output's URL: {RECEIVE_PATH} and the agent's id are appended to it")
        }
        413 => "lower `max_payload` of the output, or raise the limit of the server and of each proxy before it \
             (nginx: `client_max_body_size`)"
            .to_owned(),
        429 => "send less often, or raise the rate that the server allows".to_owned(),
        502..=504 => "a proxy answered: start the server behind it, or correct where the proxy forwards to".to_owned(),
        _ => "look into the log of the server for the reason".to_owned(),
    }
}

/// The base URL of a server that a redirect leads to.
fn moved_to(server: &ServerUrl, location: &str) -> Option<Url> {
    let mut to = server.url().join(location).ok().filter(Url::has_host)?;
    if let Some(at) = to.path().find(RECEIVE_PATH) {
        let base = to.path().get(..at)?.to_owned();
        to.set_path(&base);
    }
    to.set_query(None);
    to.set_fragment(None);
    to.set_password(None).ok()?;
    to.set_username("").ok()?;
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::for_status;

    #[test]
    fn each_status_has_a_help_that_fits_it() {
        let server = "http://192.0.2.5:20201/base".parse().unwrap();
        let receive = "pattoo/api/v1/agent/receive/0a1b?x=1";
        let https = format!("https://pattoo.example.org/behind/{receive}");
        let slash = format!("/other/{receive}");
        for (status, location, has_token, words) in [
            (
                301,
                Some(https.as_str()),
                false,
                "the server is now at https://pattoo.example.org/behind: change the URL",
            ),
            (308, Some(&slash), false, "the server is now at http://192.0.2.5:20201/other: change the URL"),
            (302, Some("https://u:p@login.example.org/"), false, "now at https://login.example.org/: change the URL"),
            (302, Some("http://"), false, "change the URL of the output to where the server is now"),
            (307, None, false, "change the URL of the output to where the server is now"),
            (401, None, false, "set the `token`"),
            (401, None, true, "correct the token"),
            (403, None, true, "correct the token"),
            (404, None, false, "check the path of the output's URL: /pattoo/api/v1/agent/receive/"),
            (405, None, false, "check the path of the output's URL"),
            (413, None, false, "lower `max_payload`"),
            (429, None, false, "send less often"),
            (500, None, false, "log of the server"),
            (502, None, false, "a proxy answered: start the server behind it"),
            (503, None, false, "a proxy answered: start the server behind it"),
            (504, None, false, "a proxy answered: start the server behind it"),
            (418, None, false, "log of the server"),
        ] {
            let help = for_status(status, location, &server, has_token);
            assert!(help.contains(words), "{status}: {help}");
        }
    }
}
