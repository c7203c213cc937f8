//! Word lists of English: function words, negations, opposites, and words that say the same.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::word::{Word, stem};

/// They hold a sentence together and mean little by themselves.
const FUNCTION_WORDS: &str = "a an the this that these those there here \
    i me my mine myself you your yours yourself u ur he him his she her hers it its we us our ours they them their theirs \
    one ones someone somebody something anyone anybody anything everyone everybody everything people person guy guys \
    is are was were be been being am im i'm it's that's i've i'd i'll you're we're they're he's she's there's \
    do does did doing done have has had having will would shall should can could may might must ought \
    what which who whom whose when where why how what's how's who's where's whats hows \
    and or but if then than so as at by for from in into of off on onto out over to up with about \
    also just only really actually very too much many some any all both each other another such own same \
    please kindly hi hello hey thanks thank dear sir madam ok okay well yes yeah oh help \
    get got getting gets go going want wanted need needed like know tell let say think see seem seems \
    now currently already still yet again ever even else though because since while during through via \
    most more-or-less lot lots kind sort type bit quite rather maybe perhaps possibly probably \
    possible able way ways thing things reason exactly everyday wants needs would've should've could've etc ie eg";

/// Each of them denies what follows it.
const NEGATIONS: &str = "not no never none nobody nothing neither nor nowhere cannot without dont doesnt didnt cant wont \
    isnt arent wasnt werent hasnt havent hadnt wouldnt shouldnt couldnt mustnt neednt aint minus except excluding least \
    hardly barely rarely seldom scarcely";

/// They colour a sentence and leave its sense.
const FILLERS: &str = "a an the also just still now already really very so quite too even ever always currently being been to be \
    in of i my you your it we they he she this that some any all both there please often usually perhaps maybe again then truly most \
    well once one";

/// They belong to what stands next to them.
const PREPOSITIONS: &str = "at in on by before after during over under of to from with into onto up off out down until since within \
    around";

/// They deny by what they mean.
const WEAK_NEGATIONS: &str = "unable fail fails failed failing refuse refuses refused decline declines declined reject \
    rejects rejected missing lack lacks lacking impossible stop stops stopped avoid avoided \
    deny denied unsuccessful block blocked wrong";

/// A line is an axis: words of one side, a bar, words of the other.
const OPPOSITES: &str = "\
more greater bigger larger | less fewer smaller
most | least
maximum max highest | minimum min lowest
increase rise raise grow gain | decrease reduce drop lower shrink decline fall
before earlier prior | after later
until | since
above over | below under beneath
high higher | low lower
enable | disable
activate | deactivate
allow permit | forbid prohibit ban prevent
accept approve accepted | reject decline deny refuse
lose lost losing | find found finding
lose lost losing | win won winning
buy bought purchase | sell sold
lend lent | borrow
send sent | receive
incoming inbound | outgoing outbound
deposit | withdraw withdrawal withdrew
credit | debit
open opening | close closed shut
start begin began begun | stop end finish quit
add | remove delete
install | uninstall
insert | delete
include | exclude
connect | disconnect
lock | unlock
block | unblock
freeze froze frozen | unfreeze
subscribe | unsubscribe
login | logout
upload | download
import | export
push | pull
give gave given | take took taken
arrive arrival | depart departure leave left
enter entry | exit
early | late
fast faster quick quicker | slow slower
cheap cheaper cheapest | expensive costly dear
best | worst
good | bad
better | worse
right correct | wrong incorrect
true | false
safe | unsafe dangerous
legal | illegal
healthy | unhealthy
easy easier | hard harder difficult
hot warm | cold cool
big large | small little
long longer | short shorter
tall | short
old older | new newer
old older | young younger
rich | poor
strong | weak
light | dark
light | heavy
full | empty
public | private
virtual digital | physical plastic
online | offline
domestic national | foreign international
internal | external
male man men boy boys | female woman women girl girls
husband | wife
father dad | mother mum mom
brother | sister
son | daughter
boyfriend | girlfriend
king | queen
left | right
north | south
east | west
front | back
top | bottom
inside | outside
first | last
first | second
always | never
everything everyone all | nothing none
same | different
success succeed | failure fail
profit | loss
income | expense
asset | liability
love | hate
advantage benefit pro | disadvantage drawback con
positive | negative
plus | minus
single | double
single | married
temporary | permanent
single | multiple
personal | business
buyer customer | seller merchant
sender | recipient beneficiary
employer | employee
teacher | student
parent | child
landlord | tenant
doctor | patient
win | lose
live alive | die dead
birth born | death died
introvert | extrovert
beginner | expert advanced
minor | major
upgrade | downgrade
weight-loss | weight-gain
accelerate | brake
attack | defend
create build | destroy
encrypt | decrypt
expand | contract
export | import
forget forgot | remember
hide hidden | show
ascending | descending
odd | even
optimist | pessimist
optimistic | pessimistic
prove | disprove
simple | complex
sunrise | sunset
sweet | bitter
thick | thin
tighten | loosen
victory | defeat
wet | dry
wide | narrow
with | without";

/// Function words that turn the sense where one stands in the place of another.
const TURNS: &str = "on|off up|down in|out over|under to|from into|from into|out before|after above|below with|without for|against \
    onto|off some|all some|any|none many|few more|less|most|least can|must|cannot he|she his|her him|her my|his my|their your|their \
    here|there before|during|after until|after";

/// Words of one line may stand for each other.
const SYNONYMS: &str = "\
best good great ideal top better nice well
get obtain acquire receive gain
way method technique approach strategy procedure process step
fast quick rapid soon speed
buy purchase
movie film
earn make
begin start commence
fix solve repair resolve
improve increase boost enhance
learn study
teach explain
big large huge
happen occur
important significant
job work career
kid child children
book novel
country nation
phone mobile smartphone cellphone
picture photo image pic
prepare preparation
difference different differ differentiate
difficult hard tough
stop quit
become turn
find search
use uses used using utilize
pay paid
send sent
buy bought
make made
take took taken
write wrote written
spend spent
sell sold
keep kept
leave left
cost price
money cash
build create make develop design
choose pick select
suggest recommend suggestion recommendation tip advice
example instance
beautiful pretty
intelligent smart clever
purpose aim goal
reduce lose
company firm business
america us usa american u.s states
uk britain british england
india indian
mean meaning definition
happen going
quora question
show display appear
card cards
topup top-up topping
verify confirm verification confirmation
identity id identification
charge fee charged
transaction payment
reverse revert cancel
atm machine cashpoint
arrive come
abroad overseas
change modify edit alter switch
delete remove erase
receive come
order request
lost lose
stolen steal theft
long time
delivery deliver arrive
country countries
employee worker staff
university college
girl woman
guy man boy
war conflict
gmail email e-mail mail
account acct
password passcode
refund reimburse
spouse partner
life live living
true real
possible can
cause reason
effect impact affect
feel feeling
weight fat
website site webpage
app application
programming coding program code
engineer engineering
prepare ready
visit see
watch see
most best
interesting cool
favorite favourite best
easy easiest simple
easily easy
trump donald
hillary clinton
successful success succeed
increase raise";

/// What questions ask for: a bit each. What may be asked for in the same way shares one.
const ASKED: &[(&str, u8)] = &[("who", 1), ("whom", 1), ("whose", 1), ("when", 2), ("where", 4), ("why", 8)];

static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::new);

#[derive(Default)]
struct Lexicon {
    kinds: HashMap<&'static str, u8>,
    sides: HashMap<String, Vec<(u16, bool)>>,
    groups: HashMap<String, Vec<u16>>,
    turns: HashMap<&'static str, Vec<&'static str>>,
}

const FUNCTION: u8 = 1;
const NEGATION: u8 = 2;
const WEAK: u8 = 4;
const FILLER: u8 = 8;
const PREPOSITION: u8 = 16;

impl Lexicon {
    fn new() -> Self {
        let mut lexicon = Self::default();
        for (list, kind) in [
            (FUNCTION_WORDS, FUNCTION),
            (NEGATIONS, NEGATION | FUNCTION),
            (WEAK_NEGATIONS, WEAK),
            (FILLERS, FILLER),
            (PREPOSITIONS, PREPOSITION),
        ] {
            for word in list.split_whitespace() {
                *lexicon.kinds.entry(word).or_default() |= kind;
            }
        }
        for (axis, line) in (0_u16..).zip(OPPOSITES.lines()) {
            for (side, words) in [false, true].into_iter().zip(line.split('|')) {
                for word in words.split_whitespace() {
                    let sides = lexicon.sides.entry(stem(word)).or_default();
                    if !sides.contains(&(axis, side)) {
                        sides.push((axis, side));
                    }
                }
            }
        }
        for turn in TURNS.split_whitespace().map(|turn| turn.split('|').collect::<Vec<_>>()) {
            for word in &turn {
                lexicon.turns.entry(word).or_default().extend(turn.iter().filter(|other| *other != word));
            }
        }
        for (group, line) in (0_u16..).zip(SYNONYMS.lines()) {
            for word in line.split_whitespace() {
                lexicon.groups.entry(stem(word)).or_default().push(group);
            }
        }
        lexicon
    }

    fn is(&self, word: &str, kind: u8) -> bool {
        self.kinds.get(word).is_some_and(|kinds| kinds & kind != 0)
    }
}

/// See [`FUNCTION_WORDS`]; negations are among them.
pub(super) fn is_function_word(word: &str) -> bool {
    LEXICON.is(word, FUNCTION) || is_negation(word)
}

/// Whether there is a function word that would turn the sense in its place.
pub(super) fn may_turn(word: &str) -> bool {
    LEXICON.turns.contains_key(word)
}

/// Whether a function word in the place of another turns the sense.
pub(super) fn turns(word: &str, other: &str) -> bool {
    LEXICON.turns.get(word).is_some_and(|turns| turns.contains(&other))
}

/// Whether a word denies.
pub(super) fn is_negation(word: &str) -> bool {
    word.ends_with("n't") || LEXICON.is(word, NEGATION)
}

/// See [`FILLERS`].
pub(super) fn is_filler(word: &str) -> bool {
    LEXICON.is(word, FILLER)
}

/// See [`PREPOSITIONS`].
pub(super) fn is_preposition(word: &str) -> bool {
    LEXICON.is(word, PREPOSITION)
}

/// Whether it may stand for a denial.
pub(super) fn is_weak_negation(word: &str) -> bool {
    LEXICON.is(word, WEAK)
}

/// The axes of a word, and its side on each.
pub(super) fn sides(stem: &str) -> &'static [(u16, bool)] {
    LEXICON.sides.get(stem).map_or(&[], Vec::as_slice)
}

/// Whether two words may say the same.
pub(super) fn same_meaning(a: &Word, b: &Word) -> bool {
    let groups = |word: &Word| LEXICON.groups.get(&word.stem).map_or(&[][..], Vec::as_slice);
    let theirs = groups(b);
    groups(a).iter().any(|group| theirs.contains(group))
}

/// What a text asks for, as bits; none where it asks nothing of these.
pub(super) fn asked(words: &[Word]) -> u8 {
    words
        .iter()
        .enumerate()
        // `I lost it when I was abroad` asks for no time: what asks begins a clause.
        .filter(|(at, word)| *at == 0 || words[at - 1].clause != word.clause)
        .filter_map(|(_, word)| ASKED.iter().find(|(name, _)| *name == word.text))
        .fold(0, |bits, (_, bit)| bits | bit)
}
