"""Turns the price data of two PyPI wheels into crates/provider/src/prices/prices.json: facts only.

Prices are genai-prices' (MIT), retirement dates LiteLLM's (MIT). The wheels are read, never imported.
Everything that is not understood is an error: a price that is guessed is worse than none.

    python3 prices.py GENAI_PRICES_WHEEL LITELLM_WHEEL OUT
"""

import ast
import hashlib
import json
import re
import sys
import zipfile
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

# Baton's vendors, as the two packages call them. Those that run on one's own machine have no price.
VENDORS = {
    'openai': ('openai', 'openai', ''),
    'anthropic': ('anthropic', 'anthropic', ''),
    'mistral': ('mistral', 'mistral', 'mistral/'),
    'groq': ('groq', 'groq', 'groq/'),
    'together': ('together', 'together_ai', 'together_ai/'),
    'deepseek': ('deepseek', 'deepseek', 'deepseek/'),
    'openrouter': ('openrouter', 'openrouter', 'openrouter/'),
    'fireworks': ('fireworks', 'fireworks_ai', 'fireworks_ai/'),
    'xai': ('x-ai', 'xai', 'xai/'),
    'gemini': ('google', 'gemini', 'gemini/'),
}
LITELLM = {theirs for _, theirs, _ in VENDORS.values()}
KINDS = {
    'input_mtok': 'input',
    'output_mtok': 'output',
    'cache_read_mtok': 'cached',
    'cache_write_mtok': 'cache_write',
    'cache_write_1h_mtok': 'cache_write_1h',
    'output_reasoning_mtok': 'reasoning',
}
# Units that a call may be charged in besides text tokens, and that no usage reports to us: pictures, sound and
# film have rates of their own, searches and tools of the vendor's a fee for each.
OTHERS = re.compile(
    r'^((input|output)_(audio|image|video)_mtok|cache_(audio|image|video)_(read|write)_mtok|'
    r'(web|storage|social)_searches_kcount|code_executions_kcount)$'
)
# What stands for a model that is not charged by tokens at all.
ELSEWISE = re.compile(
    r'^((input_|output_)?audio_hours|input_mchars|input_text_messages_kcount|input(_annotated)?_document_kpages)$'
)


def text_of(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name).decode()


def source(wheel, what):
    package, version = Path(wheel).name.split('-')[:2]
    sha256 = hashlib.sha256(Path(wheel).read_bytes()).hexdigest()
    return {
        'package': package.replace('_', '-'), 'version': version, 'wheel_sha256': sha256, 'licence': 'MIT', 'of': what
    }


class Node:
    """A call in the data: its name and its arguments."""

    def __init__(self, call):
        self.name = ast.unparse(call.func)
        self.fields = {keyword.arg: value(keyword.value) for keyword in call.keywords}
        self.arguments = [value(argument) for argument in call.args]

    def get(self, key, default=None):
        return self.fields.get(key, default)


def value(node):
    if isinstance(node, ast.Call):
        read = Node(node)
        if read.name == 'Decimal':
            return Decimal(read.arguments[0])
        return read
    if isinstance(node, ast.List):
        return [value(item) for item in node.elts]
    if isinstance(node, ast.Attribute):
        return ast.unparse(node)
    return ast.literal_eval(node)


def decimal(amount):
    """Dollars for a million tokens, rounded half up to a nano-dollar: Google's writes are thirds."""
    if not amount.is_finite() or amount < 0:
        raise ValueError(f'{amount} is no price')
    text = format(amount.quantize(Decimal('0.000000001'), ROUND_HALF_UP), 'f')
    return (text.rstrip('0').rstrip('.') if '.' in text else text) or '0'


# Which names a model has. A pattern is a name with `*` for anything and `#` for a digit; a list of patterns must
# all fit; `!` before a pattern: it must not.


def literal(text):
    if re.search(r'[*#!]', text):
        raise ValueError(f'`{text}` cannot be part of a pattern')
    return text.lower()


def from_regex(regex):
    if regex == r'^(?!.*-[tT][tT][sS](?:$|-))':
        return [['!*-tts', '!*-tts-*']]
    if not regex.startswith('^'):
        raise ValueError(f'what does `{regex}` fit?')
    body, end = (regex[1:-1], '') if regex.endswith('$') else (regex[1:], '*')
    body = body.replace(r'\.', '\0')
    body = re.sub(r'\\d\{(\d+)\}', lambda found: '#' * int(found.group(1)), body).replace(r'\d', '#')
    choices = [body.replace('[-@]', one) for one in '-@'] if '[-@]' in body else [body]
    for choice in choices:
        if re.search(r'[^a-z0-9#./\0@-]', choice) or '.' in choice:
            raise ValueError(f'what does `{regex}` fit?')
    return [[choice.replace('\0', '.') + end] for choice in choices]


def patterns(clause):
    """Alternatives, each a list of patterns that must all fit."""
    if clause.name == 'ClauseEquals':
        return [[literal(clause.get('equals'))]]
    if clause.name == 'ClauseStartsWith':
        return [[literal(clause.get('starts_with')) + '*']]
    if clause.name == 'ClauseEndsWith':
        return [['*' + literal(clause.get('ends_with'))]]
    if clause.name == 'ClauseContains':
        return [['*' + literal(clause.get('contains')) + '*']]
    if clause.name == 'ClauseRegex':
        return from_regex(clause.get('regex'))
    if clause.name == 'ClauseOr':
        return [alternative for part in clause.get('or_') for alternative in patterns(part)]
    if clause.name == 'ClauseAnd':
        every = [[]]
        for part in clause.get('and_'):
            every = [so_far + more for so_far in every for more in patterns(part)]
        return every
    raise ValueError(f'unknown clause {clause.name}')


def fits(alternatives):
    """Whether a name does, by the patterns."""
    def one(pattern):
        word = pattern.removeprefix('!')
        regex = ''.join({'*': '.*', '#': '[0-9]'}.get(letter, re.escape(letter)) for letter in word)
        return re.compile(regex), word == pattern

    compiled = [[one(pattern) for pattern in alternative] for alternative in alternatives]

    def fit(name):
        return any(all((rx.fullmatch(name) is not None) == wanted for rx, wanted in every) for every in compiled)

    return fit


def truly_fits(clause, name):
    """The clause itself, to hold the patterns against."""
    if clause.name in ('ClauseOr', 'ClauseAnd'):
        parts = [truly_fits(part, name) for part in clause.get('or_') or clause.get('and_')]
        return any(parts) if clause.name == 'ClauseOr' else all(parts)
    if clause.name == 'ClauseRegex':
        return re.search(clause.get('regex'), name) is not None
    word = next(iter(clause.fields.values())).lower()
    tests = {'ClauseEquals': name.__eq__, 'ClauseStartsWith': name.startswith, 'ClauseEndsWith': name.endswith}
    return tests.get(clause.name, name.__contains__)(word)


def base(price, start):
    """What a rate is for a prompt of more than `start` tokens; at 0 below all tiers."""
    if isinstance(price, Decimal):
        return price
    at = price.get('base')
    for tier in sorted(price.get('tiers'), key=lambda tier: tier.get('start')):
        if start and tier.get('start') <= start:
            at = tier.get('price')
    return at


def charge(prices):
    """A price as we write it, or `None` where it is not of tokens."""
    fees = [key for key in prices if key not in KINDS]
    for key in fees:
        if not OTHERS.match(key) and not ELSEWISE.match(key):
            return None
    if 'input_mtok' not in prices or any(ELSEWISE.match(key) for key in fees):
        return None
    if 'output_mtok' not in prices:
        if any(key.startswith('output_') for key in fees):
            return None
        prices = prices | {'output_mtok': Decimal(0)}  # An embedding: nothing is written.
    starts = set()
    for key in KINDS:
        if key in prices and not isinstance(prices[key], Decimal):
            starts |= {tier.get('start') for tier in prices[key].get('tiers')}

    def rates(start):
        return {kind: decimal(base(prices[key], start)) for key, kind in KINDS.items() if key in prices}

    row = rates(0)
    if starts:
        row['tiers'] = [{'above': start} | rates(start) for start in sorted(starts)]
    return row


def when(constraint):
    """The first day, and the hours of each day."""
    if constraint is None:
        return None, None
    if constraint.name == 'StartDateConstraint':
        return '{:04}-{:02}-{:02}'.format(*constraint.get('start_date').arguments), None
    if constraint.name == 'TimeOfDateConstraint':
        times = [constraint.get('start_time'), constraint.get('end_time')]
        if any(time.get('tzinfo') != 'datetime.UTC' for time in times):
            raise ValueError('hours of another time zone')
        return None, ['{:02}:{:02}'.format(*time.arguments) for time in times]
    raise ValueError(f'unknown constraint {constraint.name}')


def conditional(listed):
    if isinstance(listed, Node):
        return [(None, None, listed.fields)]
    return [(*when(row.get('constraint')), row.get('prices').fields) for row in listed]


def batches(model):
    """The rates of the batch API, each from a day on; the first that is in force counts, rate by rate."""
    found = []
    for variant in model.get('price_variants') or []:
        asks = variant.get('when')
        if asks == {'processing': 'batch'}:
            day, hours = when(variant.get('constraint'))
            if hours:
                raise ValueError('batch rates by the hour')
            found.append((day, variant.get('prices').fields))
    return found


def rows(model):
    listed, batch = conditional(model.get('prices')), batches(model)
    if batch and any(hours for _, hours, _ in listed):
        raise ValueError('hours and batch rates')
    written = []
    if not batch:
        for day, hours, prices in listed:
            written.append((day, hours, charge(prices), None))
    else:
        # A row for each day on which something changes.
        days = sorted({day or '' for day, _, _ in listed} | {day or '' for day, _ in batch})
        for day in days:
            now = [prices for start, _, prices in listed if (start or '') <= day]
            if not now:
                continue
            overlay = {}
            for start, prices in batch:
                if (start or '') <= day:
                    overlay = prices | overlay
            merged = charge(now[-1] | overlay) if overlay else None
            written.append((day or None, None, charge(now[-1]), merged))
    if any(price is None for _, _, price, _ in written):
        return []
    return [
        ({'from': day} if day else {}) | ({'hours': hours} if hours else {}) | price | ({'batch': both} if both else {})
        for day, hours, price, both in written
    ]


def providers(wheel):
    tree = ast.parse(text_of(wheel, 'genai_prices/data.py'))
    assigned = [node for node in tree.body if isinstance(node, ast.AnnAssign) and node.target.id == 'providers']
    return {provider.get('id'): provider for provider in value(assigned[0].value)}


def main(genai, litellm, out):
    data = providers(genai)
    others = json.loads(text_of(litellm, 'litellm/model_prices_and_context_window_backup.json'))
    corpus = {model.get('id').lower() for theirs, _, _ in VENDORS.values() for model in data[theirs].get('models')}
    corpus |= {name.split('/')[-1].lower() for name in others if others[name].get('litellm_provider') in LITELLM}
    lines = []
    for vendor, (theirs, _, _) in VENDORS.items():
        models = []
        for model in data[theirs].get('models'):
            alternatives = patterns(model.get('match'))
            loose = any(re.search('[*#!]', pattern) for alternative in alternatives for pattern in alternative)
            fit = fits(alternatives)
            dated = {model.get('id').lower() + tail for tail in ('', '-20260101', '-2026-01-01', '-2026', '-tts', '-tts-1')}
            for name in corpus | dated if loose else ():
                if fit(name) != truly_fits(model.get('match'), name):
                    raise ValueError(f'{theirs}/{model.get("id")}: {alternatives} is wrong for {name}')
            names = [one[0] if len(one) == 1 else one for one in alternatives]
            entry = {'id': model.get('id'), 'names': names, 'rows': rows(model)}
            if model.get('deprecated'):
                entry['deprecated'] = True
            models.append(entry)
        lines.append((vendor, models))
    retires = {}
    for vendor, (_, theirs, prefix) in VENDORS.items():
        dated = {}
        for name, entry in others.items():
            if entry.get('litellm_provider') == theirs and name.startswith(prefix) and 'deprecation_date' in entry:
                dated[name.removeprefix(prefix).lower()] = entry['deprecation_date']
        retires[vendor] = dict(sorted(dated.items()))
    write(out, [source(genai, 'prices'), source(litellm, 'retirement dates')], lines, retires)


def write(out, sources, vendors, retires):
    """One model a line: differences are read by people."""
    def compact(item):
        return json.dumps(item, separators=(',', ':'), ensure_ascii=False)

    text = '{"sources":[\n' + ',\n'.join(map(compact, sources)) + '\n],\n"vendors":{\n'
    blocks = [f'{compact(vendor)}:[\n' + ',\n'.join(map(compact, models)) + '\n]' for vendor, models in vendors]
    text += ',\n'.join(blocks) + '\n},\n"retires":{\n'
    text += ',\n'.join(f'{compact(vendor)}:{compact(dates)}' for vendor, dates in retires.items()) + '\n}}\n'
    json.loads(text)
    Path(out).write_text(text)


if __name__ == '__main__':
    main(*sys.argv[1:])
