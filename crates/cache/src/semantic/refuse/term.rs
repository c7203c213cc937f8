//! Facts that have a value: numbers, moments, units, identifiers. How two lists of them are compared.

/// What kind of value it is. Values of different kinds are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Number,
    Ordinal,
    Date,
    Clock,
    /// `yesterday`, `weekly`, `next month`.
    Relative,
    Currency,
    Measure,
    Identifier,
}

/// One value in a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term {
    pub(super) class: Class,
    /// The value, as it is most likely meant,
    pub(super) value: u64,
    /// and another way to read it: `1,250` is one and a quarter in some countries.
    pub(super) other: u64,
    /// How it is written. Values that may be read in two ways and are written alike are read alike.
    pub(super) shape: u8,
    /// It must stand in the other text. A weak one (`one`, `once`) may stand for a strong one, and only
    /// differs from one that stands in its place.
    pub(super) strong: bool,
}

impl Term {
    /// With one reading.
    pub(super) fn new(class: Class, value: u64) -> Self {
        Self { class, value, other: value, shape: 0, strong: true }
    }

    /// A name for a value.
    pub(super) fn named(class: Class, name: &str) -> Self {
        Self::new(class, hash(name))
    }

    pub(super) fn number(value: f64) -> Self {
        Self::new(Class::Number, value.to_bits())
    }

    pub(super) fn weak(self) -> Self {
        Self { strong: false, ..self }
    }

    fn same(&self, other: &Self) -> bool {
        if self.shape == other.shape {
            return self.value == other.value;
        }
        [self.value, self.other].iter().any(|value| *value == other.value || *value == other.other)
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo).
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// For each of the first list where the second has it. Each of those is taken once; what follows the last
/// one is looked at first, so that equal lists meet in order.
fn matched(a: &[&Term], b: &[&Term]) -> (Vec<Option<usize>>, Vec<bool>) {
    let mut taken = vec![false; b.len()];
    let mut next = 0;
    let mut place = |term: &&Term| {
        let found = (next..b.len()).chain(0..next).find(|at| !taken[*at] && term.same(b[*at]))?;
        taken[found] = true;
        next = found + 1;
        Some(found)
    };
    let places = a.iter().map(&mut place).collect();
    (places, taken)
}

fn of(terms: &[Term], class: Class) -> Vec<&Term> {
    terms.iter().filter(|term| term.class == class).collect()
}

/// Whether two texts have the same values of a kind.
pub(super) fn agree(a: &[Term], b: &[Term], class: Class) -> bool {
    let (mut a, mut b) = (of(a, class), of(b, class));
    if a.is_empty() && b.is_empty() {
        return true;
    }
    if matches!(class, Class::Currency | Class::Measure | Class::Relative) {
        once(&mut a);
        once(&mut b);
    }
    let (places, taken) = matched(&a, &b);
    let left = |strong: bool| {
        let mine = a.iter().zip(&places).any(|(term, place)| place.is_none() && (term.strong || !strong));
        let theirs = b.iter().zip(&taken).any(|(term, taken)| !taken && (term.strong || !strong));
        (mine, theirs)
    };
    left(true) == (false, false) && left(false) != (true, true)
}

/// Each value once; a strong one rather than a weak one.
fn once(terms: &mut Vec<&Term>) {
    terms.sort_by_key(|term| (term.value, !term.strong));
    terms.dedup_by_key(|term| term.value);
}

/// Whether the same numbers, identifiers, moments or currencies stand in another order.
pub(super) fn reordered(a: &[Term], b: &[Term]) -> bool {
    const ORDERED: [Class; 6] =
        [Class::Number, Class::Date, Class::Clock, Class::Relative, Class::Currency, Class::Identifier];
    ORDERED.into_iter().any(|class| {
        let (a, b) = (of(a, class), of(b, class));
        if a.len() < 2 || a.len() != b.len() {
            return false;
        }
        let (places, _) = matched(&a, &b);
        let places: Vec<usize> = places.into_iter().flatten().collect();
        places.len() == a.len() && places.windows(2).any(|pair| pair[0] > pair[1])
    })
}
