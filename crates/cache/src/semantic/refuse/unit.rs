//! Units and currencies. They count next to a number; currencies and units of time also by themselves.

use super::term::Class;

/// Currencies: the signs, codes and words of one, its name first. Codes in small letters are left out
/// where they are words.
const CURRENCIES: &[&[&str]] = &[
    &["usd", "$", "us$", "dollar", "dollars", "buck", "bucks"],
    &["eur", "€", "euro", "euros"],
    // Pounds are a weight too: what says `lb` is not taken for the same.
    &["gbp", "£", "quid", "pound", "pounds"],
    &["jpy", "¥", "yen"],
    &["inr", "₹", "rs", "rs.", "rupee", "rupees"],
    &["myr", "rm", "ringgit"],
    &["cny", "rmb", "yuan", "renminbi"],
    &["chf", "franc", "francs"],
    &["aud", "a$"],
    &["cad", "c$"],
    &["sgd", "s$"],
    &["krw", "₩", "won"],
    &["rub", "₽", "rouble", "ruble", "roubles", "rubles"],
    &["pln", "zł", "zloty"],
    &["btc", "₿", "bitcoin", "bitcoins"],
    &["eth", "ether", "ethereum"],
    &["cent", "cents", "¢"],
    &["pence", "penny"],
    &["sek"],
    &["nok"],
    &["dkk"],
    &["czk"],
    &["huf"],
    &["ron"],
    &["bgn"],
    &["hkd"],
    &["nzd"],
    &["zar"],
    &["brl"],
    &["mxn"],
    &["thb"],
    &["idr"],
    &["php"],
    &["vnd"],
    &["twd"],
    &["ils"],
    &["aed"],
    &["sar"],
    &["egp"],
    &["ngn"],
    &["kes"],
    &["pkr"],
    &["bdt"],
    &["lkr"],
    &["uah"],
    &["isk"],
    &["clp"],
    &["cop"],
    &["ars"],
];

/// The other codes of ISO 4217: only next to a number, some are words.
const CODES: &str = "afn all amd ang aoa awg azn bam bbd bhd bif bmd bnd bob bsd btn bwp byn bzd cdf crc cup cve djf dop dzd ern etb fjd fkp gel ghs gip gmd gnf gtq gyd hnl htg iqd irr jmd jod kgs khr kmf kpw kwd kyd kzt lak lbp lrd lsl lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mzn nad nio npr omr pab pen pgk pyg qar rsd rwf sbd scr sdg shp sle sos srd ssp stn svc syp szl tjs tmt tnd top try ttd tzs ugx uyu uzs ved ves vuv wst xaf xcd xof xpf yer zmw zwl";

/// Measures, the same way.
const MEASURES: &[&[&str]] = &[
    &["%", "percent", "percentage", "pct", "per cent"],
    &["kg", "kgs", "kilo", "kilos", "kilogram", "kilograms", "kilogramme", "kilogrammes"],
    &["g", "gram", "grams", "gramme", "grammes", "gm", "gms"],
    &["mg", "milligram", "milligrams"],
    &["lb", "lbs"],
    &["oz", "ounce", "ounces"],
    &["ton", "tons", "tonne", "tonnes"],
    &["km", "kms", "kilometre", "kilometres", "kilometer", "kilometers"],
    &["m", "metre", "metres", "meter", "meters"],
    &["cm", "centimetre", "centimetres", "centimeter", "centimeters"],
    &["mm", "millimetre", "millimetres", "millimeter", "millimeters"],
    &["mile", "miles", "mi"],
    &["yard", "yards", "yd"],
    &["ft", "foot", "feet"],
    &["inch", "inches", "in"],
    &["l", "litre", "litres", "liter", "liters", "ltr"],
    &["ml", "millilitre", "millilitres", "milliliter", "milliliters"],
    &["gallon", "gallons", "gal"],
    &["pint", "pints"],
    &["kb", "kilobyte", "kilobytes"],
    &["mb", "megabyte", "megabytes"],
    &["gb", "gigabyte", "gigabytes"],
    &["tb", "terabyte", "terabytes"],
    &["mbps"],
    &["gbps"],
    &["kbps"],
    &["hz"],
    &["khz"],
    &["mhz"],
    &["ghz"],
    &["w", "watt", "watts"],
    &["kw", "kilowatt", "kilowatts"],
    &["kwh"],
    &["v", "volt", "volts"],
    &["mah"],
    &["hp", "horsepower"],
    &["mph"],
    &["kmh", "km/h", "kph"],
    &["rpm"],
    &["°c", "celsius"],
    &["°f", "fahrenheit"],
    &["kcal", "calorie", "calories"],
    &["acre", "acres"],
    &["hectare", "hectares", "ha"],
    &["sqft"],
    &["sqm"],
    &["pc", "pcs", "piece", "pieces"],
    &["pack", "packs", "pkt"],
    &["box", "boxes"],
    &["bottle", "bottles"],
];

/// Units of time: they differ also where no number stands before them.
const TIMES: &[&[&str]] = &[
    &["second", "seconds", "sec", "secs"],
    &["minute", "minutes", "min", "mins"],
    &["hour", "hours", "hr", "hrs"],
    &["day", "days"],
    &["week", "weeks", "wk", "wks"],
    &["fortnight", "fortnights"],
    &["month", "months", "mth", "mths"],
    &["quarter", "quarters"],
    &["year", "years", "yr", "yrs"],
    &["decade", "decades"],
    &["century", "centuries"],
];

/// Where a unit was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Right before or behind a number.
    AtNumber,
    /// The same, in capitals.
    CapitalsAtNumber,
    /// By itself.
    Alone,
}

/// The unit of a word in small letters or of a sign: its class and first name. A sign of money that is not
/// listed is its own name.
pub(super) fn unit(word: &str, place: Place) -> Option<(Class, &str)> {
    let among = |lists: &[&[&'static str]]| lists.iter().find(|names| names.contains(&word)).map(|names| names[0]);
    if let Some(name) = among(CURRENCIES).filter(|_| place != Place::Alone || word != "won") {
        return Some((Class::Currency, name));
    }
    if place == Place::CapitalsAtNumber
        && word.len() == 3
        && let Some(code) = CODES.split(' ').find(|code| *code == word)
    {
        return Some((Class::Currency, code));
    }
    let short = word.len() < 3 || matches!(word, "min" | "sec" | "second");
    let measured = among(TIMES).filter(|_| place != Place::Alone || !short);
    let measured = measured.or_else(|| among(MEASURES).filter(|_| place != Place::Alone || word.starts_with('%')));
    let money = || word.contains(is_sign).then_some((Class::Currency, word));
    measured.map(|name| (Class::Measure, name)).or_else(money)
}

/// A sign of money: Unicode's category Sc.
pub(super) fn is_sign(c: char) -> bool {
    matches!(
        c,
        '$' | '¢'..='¥' | '\u{58f}' | '\u{60b}' | '\u{7fe}' | '\u{9f2}' | '\u{9f3}' | '\u{9fb}' | '\u{af1}' | '\u{bf9}'
            | '\u{e3f}' | '\u{17db}' | '\u{20a0}'..='\u{20cf}' | '\u{a838}' | '\u{fdfc}' | '\u{fe69}' | '\u{ff04}'
            | '\u{ffe0}' | '\u{ffe1}' | '\u{ffe5}' | '\u{ffe6}'
    )
}

/// A unit of time, as in `next week`.
pub(super) fn of_time(word: &str) -> Option<&'static str> {
    TIMES.iter().find(|names| names.contains(&word)).map(|names| names[0])
}
