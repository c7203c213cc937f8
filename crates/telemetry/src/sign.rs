//! Signatures as the Standard Webhooks specification has them (standardwebhooks.com, "Verifying webhook
//! authenticity"): HMAC-SHA256 over `id.timestamp.body`, base64, after `v1,`; the secret is 24 to 64 bytes
//! in base64 after `whsec_`.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use baton_config::Secret;

const PREFIX: &str = "whsec_";
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret, ready to sign with. Its `Debug` does not show it.
pub struct SigningKey(hmac::Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a webhook cannot be sent as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The variable is not set.
    #[error("the environment variable {0} is not set; it is a webhook's secret")]
    Missing(String),
    /// The file cannot be read.
    #[error("the webhook's secret in {path} cannot be read: {why}")]
    File {
        /// The file.
        path: String,
        /// The system's words.
        why: String,
    },
    /// It is no secret of the specification's form.
    #[error(
        "{0} is no webhook secret: write `whsec_` and 24 to 64 random bytes in base64, for example whsec_$(openssl rand -base64 32)"
    )]
    Form(String),
}

impl SigningKey {
    /// Reads a secret where it is; white space around it is not part of it.
    ///
    /// # Errors
    /// It is not there, or not in the specification's form. Neither shows it.
    pub fn read(secret: &Secret, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, WebhookError> {
        let (text, place) = match secret {
            Secret::Env(name) => {
                let text = environment(name).ok_or_else(|| WebhookError::Missing(name.clone()))?;
                (text, format!("the environment variable {name}"))
            }
            Secret::File(path) => {
                let path_text = path.display().to_string();
                let failed =
                    |error: std::io::Error| WebhookError::File { path: path_text.clone(), why: error.to_string() };
                (std::fs::read_to_string(path).map_err(failed)?, format!("the file {path_text}"))
            }
        };
        let bytes = text.trim().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        match bytes.filter(|bytes| BYTES.contains(&bytes.len())) {
            Some(bytes) => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
            None => Err(WebhookError::Form(place)),
        }
    }

    /// The value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp_s}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Result<SigningKey, WebhookError> {
        SigningKey::read(&Secret::Env("HOOK".into()), &|_| Some(secret.to_owned()))
    }

    /// The reference libraries' own example.
    #[test]
    fn signatures_are_the_specifications() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        for secret in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%"] {
            let error = key(secret).unwrap_err();
            assert_eq!(error, WebhookError::Form("the environment variable HOOK".into()));
        }
        let missing = SigningKey::read(&Secret::Env("HOOK".into()), &|_| None).unwrap_err();
        assert_eq!(missing, WebhookError::Missing("HOOK".into()));
        let shown = format!("{:?}", key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        assert_eq!(shown, "[redacted]");
    }
}
