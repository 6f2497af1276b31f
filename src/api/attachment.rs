//! How a file is handed over whose name and bytes a stranger chose: to be saved, under a name that harms nobody.

use alloy::primitives::B256;
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but RFC 3986's unreserved characters.
const RESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `Content-Disposition` (RFC 6266) with the last part of a path as the name: for clients of RFC 8187 as it is, for others in the
/// letters that every file system knows.
pub(super) fn attachment(path: &str) -> HeaderValue {
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain: String = name
        .chars()
        .map(|letter| match letter {
            '.' | '-' | '_' => letter,
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '_',
        })
        .collect();
    let exact = utf8_percent_encode(name, &RESERVED);
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// A path whose parts are safe in an address; the slashes between them stay.
pub(super) fn encoded_path(path: &str) -> String {
    let parts: Vec<String> = path
        .split('/')
        .map(|part| utf8_percent_encode(part, &RESERVED).to_string())
        .collect();
    parts.join("/")
}

/// `Repr-Digest` (RFC 9530): the hash of the whole file, whatever part of it travels.
pub(super) fn repr_digest(sha256: B256) -> HeaderValue {
    let text = format!("sha-256=:{}:", STANDARD.encode(sha256));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("sha-256=::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_gets_out_of_its_quotes() {
        let said = |path: &str| attachment(path).to_str().unwrap().to_owned();
        assert_eq!(
            said("models/weights.bin"),
            "attachment; filename=\"weights.bin\"; filename*=UTF-8''weights.bin"
        );
        assert_eq!(
            said("a\"; filename=\"evil.exe"),
            "attachment; filename=\"a___filename__evil.exe\"; filename*=UTF-8''a%22%3B%20filename%3D%22evil.exe"
        );
        assert_eq!(
            said("d/\u{202e}gpj.r\u{e9}sum\u{e9}"),
            "attachment; filename=\"_gpj.r_sum_\"; filename*=UTF-8''%E2%80%AEgpj.r%C3%A9sum%C3%A9"
        );
        assert_eq!(
            encoded_path("a b/50%/#1?x=<script>"),
            "a%20b/50%25/%231%3Fx%3D%3Cscript%3E"
        );
    }
}
