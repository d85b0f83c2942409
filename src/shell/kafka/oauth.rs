//! A token for SASL's OAUTHBEARER from a file, as Kubernetes and others put it there: a JWT (RFC 7519), replaced in
//! place before it expires.

use std::error::Error;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;

/// The file with the token.
#[derive(Clone, Debug)]
pub(super) struct TokenFile(String);

/// What is read of a token; the broker verifies it.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970.
    exp: f64,
    sub: String,
}

impl TokenFile {
    pub(super) fn new(path: String) -> Self {
        Self(path)
    }

    /// The token as it stands in the file now.
    pub(super) fn token(file: Option<&Self>) -> Result<OAuthToken, Box<dyn Error>> {
        let Self(path) = file.ok_or("OAUTHBEARER needs kafka.oauth_token_file")?;
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Ok(parse(text.trim()).with_context(|| format!("{path} does not hold a token"))?)
    }
}

fn parse(token: &str) -> anyhow::Result<OAuthToken> {
    let claims = token.split('.').nth(1).ok_or_else(|| anyhow!("it is no JWT: it has no dots"))?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| anyhow!("its claims are not in base64url"))?;
    let claims: Claims = serde_json::from_slice(&claims).context("its claims need `sub` and `exp`")?;
    #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds; the broker judges it")]
    let lifetime_ms = (claims.exp * 1000.0) as i64;
    Ok(OAuthToken { token: token.to_owned(), principal_name: claims.sub, lifetime_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_subject_and_its_end() {
        let token =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(r#"{"sub":"richter","exp":12.5}"#));
        let parsed = parse(&token).expect("a token");
        assert_eq!((parsed.principal_name.as_str(), parsed.lifetime_ms), ("richter", 12_500));
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        for text in ["hunter2", "a.!.c", "a.e30.c"] {
            let Err(why) = parse(text) else { panic!("{text} is no token") };
            assert!(!format!("{why:#}").contains(text), "{why:#}");
        }
    }
}
