//! The kinds of facts that are changed, and which of them a machine can check.

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Digits,
    Spoken,
    Ordinal,
    Date,
    Clock,
    Day,
    Moment,
    Currency,
    Unit,
    Identifier,
    Address,
    Name,
    NameInSmallLetters,
    Thing,
    Not,
    OtherDenial,
    Opposite,
    Role,
    Language,
    ReceiptNumber,
    ReceiptDate,
    ReceiptCode,
    ReceiptName,
    ReceiptCurrency,
}

impl Kind {
    pub(crate) const QUERIES: [Self; 19] = [
        Self::Digits,
        Self::Spoken,
        Self::Ordinal,
        Self::Date,
        Self::Clock,
        Self::Day,
        Self::Moment,
        Self::Currency,
        Self::Unit,
        Self::Identifier,
        Self::Address,
        Self::Name,
        Self::NameInSmallLetters,
        Self::Thing,
        Self::Not,
        Self::OtherDenial,
        Self::Opposite,
        Self::Role,
        Self::Language,
    ];
    pub(crate) const RECEIPTS: [Self; 5] =
        [Self::ReceiptNumber, Self::ReceiptDate, Self::ReceiptCode, Self::ReceiptName, Self::ReceiptCurrency];

    /// Whether a program can tell without knowing the words: what is written in digits, in words of a short
    /// closed list (numbers, days, months), as a code or an address, with a capital within a sentence, or
    /// denied by `not` and `never`.
    pub(crate) fn machine_can_check(self) -> bool {
        !matches!(
            self,
            Self::Moment
                | Self::Unit
                | Self::NameInSmallLetters
                | Self::Thing
                | Self::OtherDenial
                | Self::Opposite
                | Self::Role
                | Self::Language
        )
    }
}
