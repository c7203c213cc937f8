//! Whom calls are about, under a name that does not name them.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::TeamId;

/// Characters of a name that callers give to a person or a session at the most.
pub const NAME_CHARS_MAX: usize = 256;

/// A team's name for a person, as a hash: what is journalled and looked up by where the name itself need
/// not be kept. Who guesses the name can check the guess: it is no secret, only not the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubjectHash(Uuid);

impl SubjectHash {
    /// The same name in another team is somebody else.
    #[must_use]
    pub fn of(team: &TeamId, subject: &str) -> Self {
        let mut hash = blake3::Hasher::new();
        // Lengths in front: no team and name run into another.
        for part in ["baton subject", team.as_str(), subject] {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The hash of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_its_team() {
        let of = |team: &str, name| SubjectHash::of(&TeamId::new(team), name);
        assert_eq!(of("a", "ann"), of("a", "ann"));
        assert_eq!(
            [of("a", "ann"), of("b", "ann"), of("a", "bob"), of("aa", "nn")].map(|hash| hash == of("a", "ann")),
            [true, false, false, false]
        );
        assert!(!of("a", "ann").to_string().contains("ann"));
    }
}
