//! Secrets are sent and never shown.

use std::fs;

use pattoo_base::secret::{Secret, SecretError};

use super::site::{Site, client, get, with_header};
use crate::{Error, HeaderName};

const VALUE: &str = "tell-nobody-42";

#[test]
fn no_text_shows_a_secret() {
    let secret = Secret::new(VALUE).unwrap();
    let grant = crate::OriginGrant::new("https://a.example".parse().unwrap())
        .header(HeaderName::from_static("x-token"), secret.clone());
    let client = client(vec![grant.clone()]);
    for text in [format!("{secret:?}"), format!("{secret:#?}"), format!("{grant:?}"), format!("{client:?}")] {
        assert!(!text.contains("tell-nobody"), "{text}");
    }
    for bad in ["tell-nobody\n42", "tell-nobody\0"] {
        let error = Secret::new(bad).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("tell-nobody"));
    }
}

#[test]
fn one_line_end_at_the_end_is_not_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Secret::from_file(&path)
    };
    let same = Secret::new(VALUE).unwrap();
    for end in ["", "\n", "\r\n"] {
        assert_eq!(read(format!("{VALUE}{end}").as_bytes()).unwrap(), same, "{end:?}");
    }
    for end in ["\n\n", "\r", "\r\r\n", "\n \n"] {
        assert!(
            matches!(read(format!("{VALUE}{end}").as_bytes()), Err(SecretError::InvalidCharacter { .. })),
            "{end:?}"
        );
    }
    assert!(matches!(read(b""), Err(SecretError::Empty { .. })));
    assert!(matches!(read(b"\n"), Err(SecretError::Empty { .. })));
    read(&vec![b'x'; 16 * 1024]).unwrap();
    assert!(matches!(read(&vec![b'x'; 16 * 1024 + 1]), Err(SecretError::TooLong { .. })));
    assert!(matches!(read(&vec![b'x'; 1024 * 1024]), Err(SecretError::TooLong { .. })));
    assert!(matches!(Secret::from_file(&folder.path().join("none")), Err(SecretError::File { .. })));
    assert!(matches!(Secret::from_file(folder.path()), Err(SecretError::File { .. })));
}

#[test]
fn a_secret_is_read_from_a_regular_file_that_nobody_else_can_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let error = Secret::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("it is a named pipe, not a regular file"), "{error}");
    fs::remove_file(&path).unwrap();
    fs::write(&path, VALUE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o606)).unwrap();
    let error = Secret::from_file(&path).unwrap_err();
    assert!(error.help().unwrap().contains(&format!("chmod o-w {}", path.display())), "{error}");
    assert!(!format!("{error} {error:?}").contains("tell-nobody"));
    // A group may, and all may read: that is a warning elsewhere.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    Secret::from_file(&path).unwrap();
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    for name in ["PATTOO_WASM_TEST_NEVER_SET", "", "A=B", "A\0"] {
        assert!(matches!(Secret::from_env(name), Err(SecretError::NotSet { .. })), "{name:?}");
    }
    assert_eq!(Secret::from_env("PATH").unwrap(), Secret::new(std::env::var("PATH").unwrap()).unwrap());
}

#[tokio::test]
async fn an_attached_header_is_sent_and_the_guest_cannot_set_or_shadow_it() {
    let site = Site::saying("").await;
    let grant = site.grant().header(HeaderName::from_static("x-api-key"), Secret::new(VALUE).unwrap());
    let client = client(vec![grant]);
    client.fetch(get(site.url("/"))).await.unwrap();
    assert_eq!(site.seen()[0].header("x-api-key"), [VALUE]);
    for name in ["x-api-key", "X-API-Key", "X_Api_Key", "x-api_key"] {
        let result = client.fetch(with_header(get(site.url("/")), name, "mine")).await;
        assert!(matches!(&result, Err(Error::Invalid(text)) if !text.contains(VALUE)), "{name}: {result:?}");
    }
    assert_eq!(site.seen().len(), 1);
}

#[tokio::test]
async fn an_attached_header_goes_only_with_what_its_own_grant_allows() {
    let site = Site::saying("").await;
    let paths = |path: &str| site.grant().paths(vec![path.parse().unwrap()]);
    let with = paths("/private").header(HeaderName::from_static("x-api-key"), Secret::new(VALUE).unwrap());
    let client = client(vec![with, paths("/open")]);
    for path in ["/private/x", "/open/x"] {
        client.fetch(get(site.url(path))).await.unwrap();
    }
    assert_eq!(site.seen().iter().map(|seen| seen.header("x-api-key").len()).collect::<Vec<_>>(), [1, 0]);
}
