//! The words that mutations are made of. They share nothing with the refuser's lists.
//!
//! Each list is a pair: what the refuser was developed against, and what was held out: looked at for the
//! report only, never to add a word to the refuser.

/// First what was developed against, then what is held out.
pub(super) type Split<T> = [&'static [T]; 2];

pub(super) const PEOPLE: Split<&str> = [
    &[
        "Anna",
        "Peter",
        "Maria",
        "Ahmed",
        "John Smith",
        "Wei",
        "Olga",
        "Carlos",
        "Fatima",
        "Sven",
        "Bartholomew",
        "Ines",
        "Kwame",
        "Siobhan",
        "Rajesh",
        "Yuki",
        "O'Connor",
        "Thandiwe",
        "Zoltan",
        "Eira",
    ],
    &["Gudrun", "Emeka", "Xiomara", "Piotr", "Leilani", "Hamish", "van der Berg", "Noor", "Tadashi", "Aoife"],
];
pub(super) const PLACES: Split<&str> = [
    &[
        "Paris",
        "London",
        "Berlin",
        "Madrid",
        "New York",
        "Rome",
        "Tokyo",
        "Lisbon",
        "Ouagadougou",
        "Cardiff",
        "Tbilisi",
        "Reykjavik",
        "Cusco",
        "Minsk",
        "Hobart",
        "Da Nang",
    ],
    &["Zagreb", "Nairobi", "Quito", "Leeds", "Hanoi", "Porto Alegre", "Gdansk", "Winnipeg"],
];
pub(super) const COMPANIES: Split<&str> = [
    &[
        "Amazon",
        "Netflix",
        "Uber",
        "Spotify",
        "Tesco",
        "Ryanair",
        "Etsy",
        "Lidl",
        "Deliveroo",
        "Zalando",
        "Wizzair",
        "Klarna",
    ],
    &["Bolt", "Ikea", "Shein", "Vinted", "Decathlon", "Air France"],
];
/// What a question is about, in small letters.
pub(super) const THINGS: Split<(&str, &str)> = [
    &[
        ("card", "account"),
        ("transfer", "refund"),
        ("cash", "cheque"),
        ("app", "website"),
        ("passcode", "address"),
        ("payment", "salary"),
        ("atm", "branch"),
        ("card", "mortgage"),
        ("transfer", "loan"),
        ("money", "passport"),
        ("account", "insurance"),
        ("fee", "voucher"),
        ("pin", "username"),
        ("payment", "invoice"),
        ("top-up", "statement"),
    ],
    &[
        ("card", "bracelet"),
        ("account", "pension"),
        ("transfer", "donation"),
        ("payment", "dividend"),
        ("fee", "tip"),
        ("money", "documents"),
        ("pin", "nickname"),
        ("cash", "coupons"),
        ("refund", "discount"),
    ],
];
/// Spoken numbers.
pub(super) const SPOKEN: Split<&str> = [
    &[
        "two",
        "three",
        "five",
        "seven",
        "ten",
        "twelve",
        "twenty",
        "thirty-five",
        "two hundred",
        "one thousand",
        "four",
        "eleven",
        "nineteen",
        "forty",
        "sixty-one",
        "eighty eight",
        "three hundred and ten",
        "five million",
    ],
    &["six", "fifteen", "eighteen", "ninety", "seventy-four", "fifty three", "nine hundred", "two thousand and one"],
];
pub(super) const ORDINALS: Split<&str> = [
    &["second", "third", "fifth", "tenth", "4th", "7th", "sixteenth", "ninth", "twelfth", "twentieth", "31st", "13th"],
    &["eighth", "eleventh", "fifteenth", "thirtieth", "22nd", "14th"],
];
pub(super) const MOMENTS: Split<&str> = [
    &[
        "yesterday",
        "today",
        "last week",
        "last month",
        "this morning",
        "last night",
        "two days ago",
        "next week",
        "tomorrow",
        "the day before yesterday",
        "a fortnight ago",
        "at dawn",
        "at dusk",
        "on Boxing Day",
        "on New Year's Eve",
        "last spring",
        "next quarter",
        "an hour ago",
        "at lunchtime",
    ],
    &[
        "three weeks ago",
        "before breakfast",
        "on Valentine's Day",
        "at closing time",
        "the other night",
        "early on Sunday",
        "just now",
        "in the small hours",
        "a year ago",
        "over the holidays",
    ],
];
pub(super) const DAYS: Split<&str> =
    [&["Monday", "Tuesday", "Friday", "Sunday"], &["Wednesday", "Thursday", "Saturday", "Tues"]];
pub(super) const MONTHS: Split<&str> = [
    &["January", "March", "June", "September", "February", "May", "August", "October", "Nov", "Dec"],
    &["April", "July", "Sept", "Jan", "Feb", "Aug"],
];
/// Signs before an amount, and codes or words behind it.
pub(super) const SIGNS: Split<&str> =
    [&["£", "$", "€", "¥", "₹", "₩", "₪", "₺", "CHF ", "A$"], &["₦", "₴", "฿", "₡", "R$", "HK$"]];
pub(super) const CURRENCIES: Split<&str> = [
    &["GBP", "dollars", "EUR", "yen", "SEK", "ZAR", "TRY", "pesos", "dirhams", "forints", "baht", "shekels"],
    &["NOK", "PLN", "KES", "GEL", "rupees", "lira", "rand", "dong"],
];
pub(super) const UNITS: Split<&str> = [
    &[
        "kg",
        "km",
        "miles",
        "hours",
        "days",
        "weeks",
        "minutes",
        "percent",
        "grams",
        "months",
        "years",
        "litres",
        "inches",
        "fortnights",
        "stones",
        "furlongs",
        "crates",
        "sacks",
    ],
    &["grams", "tonnes", "quarters", "pints", "yards", "bags", "bushels", "rolls", "pallets", "litres"],
];
/// Opposites that stand in real queries or are put there.
pub(super) const OPPOSITES: Split<(&str, &str)> = [
    &[
        ("more", "less"),
        ("before", "after"),
        ("increase", "decrease"),
        ("enable", "disable"),
        ("lost", "found"),
        ("higher", "lower"),
        ("open", "close"),
        ("send", "receive"),
        ("accepted", "rejected"),
        ("virtual", "physical"),
        ("buy", "sell"),
        ("add", "remove"),
        ("activate", "deactivate"),
        ("hire", "fire"),
        ("praised", "blamed"),
        ("raise", "cut"),
        ("widen", "narrow"),
        ("earliest", "latest"),
        ("arrived", "departed"),
        ("thaw", "freeze"),
        ("merge", "split"),
        ("join", "leave"),
        ("heaviest", "lightest"),
        ("visible", "invisible"),
        ("approve", "disapprove"),
        ("maximise", "minimise"),
        ("gained", "forfeited"),
        ("outgoing", "incoming"),
        ("voluntary", "compulsory"),
        ("ahead of", "behind"),
        ("inside", "outside"),
    ],
    &[
        ("win", "forfeit"),
        ("permanent", "temporary"),
        ("tighten", "relax"),
        ("borrow", "lend"),
        ("promote", "demote"),
        ("shorter", "longer"),
        ("grant", "withhold"),
        ("rich", "poor"),
        ("confirm", "dispute"),
        ("northbound", "southbound"),
        ("hide", "reveal"),
        ("optional", "mandatory"),
        ("older", "newer"),
        ("inbound", "outbound"),
        ("above", "beneath"),
        ("in favour of", "against"),
        ("double", "halve"),
        ("silent", "loud"),
    ],
];
/// Other ways to say `not`.
pub(super) const DENIALS: Split<&str> = [
    &["hardly ever", "in no way", "no longer", "scarcely", "far from", "anything but", "at no time", "least of all"],
    &[
        "nowhere near",
        "the opposite of",
        "in no sense",
        "not in the least",
        "the reverse of",
        "short of being",
        "rather less than",
    ],
];
/// Hosts of addresses.
pub(super) const HOSTS: Split<&str> = [
    &["example.com", "example.org", "shop.example.net", "mail.example.io", "pay-now.example", "kauf.example.de"],
    &["pay.example.eu", "a.example", "my-bank.example.org"],
];

/// Real queries of the kind, in English and as a person would say them in another language.
pub(super) const TRANSLATIONS: &[[&str; 6]] = &[
    [
        "How do I activate my new card?",
        "Wie aktiviere ich meine neue Karte?",
        "Comment activer ma nouvelle carte ?",
        "¿Cómo activo mi nueva tarjeta?",
        "Come attivo la mia nuova carta?",
        "Hoe activeer ik mijn nieuwe kaart?",
    ],
    [
        "Why was my transfer declined?",
        "Warum wurde meine Überweisung abgelehnt?",
        "Pourquoi mon virement a-t-il été refusé ?",
        "¿Por qué fue rechazada mi transferencia?",
        "Perché il mio bonifico è stato rifiutato?",
        "Waarom is mijn overschrijving geweigerd?",
    ],
    [
        "I lost my card yesterday, what should I do?",
        "Ich habe gestern meine Karte verloren, was soll ich tun?",
        "J'ai perdu ma carte hier, que dois-je faire ?",
        "Ayer perdí mi tarjeta, ¿qué debo hacer?",
        "Ieri ho perso la mia carta, cosa devo fare?",
        "Ik ben gisteren mijn kaart kwijtgeraakt, wat moet ik doen?",
    ],
    [
        "Can I change my PIN in the app?",
        "Kann ich meine PIN in der App ändern?",
        "Puis-je changer mon code PIN dans l'application ?",
        "¿Puedo cambiar mi PIN en la aplicación?",
        "Posso cambiare il PIN nell'app?",
        "Kan ik mijn pincode in de app wijzigen?",
    ],
    [
        "How long does a refund take?",
        "Wie lange dauert eine Rückerstattung?",
        "Combien de temps prend un remboursement ?",
        "¿Cuánto tarda un reembolso?",
        "Quanto tempo richiede un rimborso?",
        "Hoe lang duurt een terugbetaling?",
    ],
    [
        "There is a payment that I do not recognise.",
        "Da ist eine Zahlung, die ich nicht kenne.",
        "Il y a un paiement que je ne reconnais pas.",
        "Hay un pago que no reconozco.",
        "C'è un pagamento che non riconosco.",
        "Er is een betaling die ik niet herken.",
    ],
    [
        "Which currencies do you support?",
        "Welche Währungen unterstützen Sie?",
        "Quelles devises prenez-vous en charge ?",
        "¿Qué divisas admiten?",
        "Quali valute supportate?",
        "Welke valuta ondersteunen jullie?",
    ],
    [
        "Why was I charged a fee for the withdrawal?",
        "Warum wurde mir eine Gebühr für die Abhebung berechnet?",
        "Pourquoi m'a-t-on facturé des frais pour le retrait ?",
        "¿Por qué me cobraron una comisión por el retiro?",
        "Perché mi è stata addebitata una commissione per il prelievo?",
        "Waarom werd er een vergoeding voor de opname gerekend?",
    ],
];

/// Put before a text, behind it, or said another way; none changes what is asked.
pub(super) const BEFORE: &[&str] =
    &["Hi, ", "Hello there. ", "Good day, ", "Quick question: ", "Sorry to bother you. ", "Hey! "];
pub(super) const BEHIND: &[&str] =
    &[" Thanks!", " Please help.", " Thank you very much.", " Please let me know.", " Any ideas?"];
