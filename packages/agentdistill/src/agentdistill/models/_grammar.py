"""The grammar of an agent's step: a thought, a fence, Python that parses, the closing fence.

It is written once, in the notation of GBNF, and spelt for two readers: llguidance, which checks tokens in this process
(upper-case rules are its lexemes, each matched as long as it goes, without a way back: were "is" and "is not" both
lexemes, "is nothing" would be refused), and servers that take GBNF (llama.cpp, vLLM), which know no lexemes.

What it accepts, ``ast.parse`` accepts. Python that it leaves out: ``async``, ``await``, ``match`` and ``type``
statements, ``:=``, ``global`` and ``nonlocal``, names beyond ASCII, backslashes at line ends, nested f-strings,
backticks, and blocks deeper than eight (four for servers) or indented otherwise than by two blanks, four, or a tab.

Expressions come in four modes: ``t`` on a line of their own, ``i`` within brackets, where lines may break, ``s`` and
``d`` within an f-string of single or double quotes, whose mark and backslash they may not hold before Python 3.12.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from functools import lru_cache
from string import Template

from agentdistill.types import StepForm

_UNITS = {"a": "    ", "b": "  ", "c": "\t"}
_DEPTH, _DEPTH_SENT = 8, 4  # of blocks; a server reads the grammar with every request
_NO_CONTROL = r"\x00-\x08\x0a-\x1f\x7f`"

_LEXEMES = rf"""
COMMENT ::= "#" [^{_NO_CONTROL}]*
TRAIL ::= [ \t]* COMMENT?
BLANKS ::= ([ \t]* COMMENT? "\n")*
LEAD ::= ([ \t]* COMMENT? "\n")+
SPACES ::= " "+
END ::= TRAIL "\n" BLANKS "```"
DIGITS ::= [0-9] ("_"? [0-9]){{0,30}}
EXPONENT ::= [eE] [+\-]? [0-9]{{1,3}}
DECIMAL ::= "0" "0"{{0,8}} | [1-9] ("_"? [0-9]){{0,30}}
FLOAT ::= DIGITS "." DIGITS? EXPONENT? | "." DIGITS EXPONENT? | DIGITS EXPONENT
BASED ::= "0" [xX] [0-9a-fA-F]{{1,16}} | "0" [bB] [01]{{1,64}} | "0" [oO] [0-7]{{1,21}}
NUMBER ::= (DECIMAL | FLOAT) [jJ]? | BASED
CONSTANT ::= "None" | "True" | "False" | "..."
HEX ::= [0-9a-fA-F]
ESCAPE ::= "\\" ([^\x00-\x1fxuUN\x7f`0-9] | [0-7] | "\n" | "x" HEX HEX | "u" HEX HEX HEX HEX)
SINGLE ::= [^{_NO_CONTROL}'\\] | ESCAPE
DOUBLE ::= [^{_NO_CONTROL}"\\] | ESCAPE
RAWSINGLE ::= [^{_NO_CONTROL}'\\] | "\\" [^\x00-\x1f\x7f`]
RAWDOUBLE ::= [^{_NO_CONTROL}"\\] | "\\" [^\x00-\x1f\x7f`]
LONGSINGLE ::= "'''" ("'"{{0,2}} (SINGLE | "\n"))* "'''"
LONGDOUBLE ::= "\"\"\"" ("\""{{0,2}} (DOUBLE | "\n"))* "\"\"\""
RAWLONG ::= "\"\"\"" ("\""{{0,2}} (RAWDOUBLE | "\n"))* "\"\"\""
RAW ::= [rR] ("'" RAWSINGLE* "'" | "\"" RAWDOUBLE* "\"" | RAWLONG)
STRING ::= "'" SINGLE* "'" | "\"" DOUBLE* "\"" | LONGSINGLE | LONGDOUBLE | RAW
BYTESCAPE ::= "\\" ([ -/:-_a-wy-~] | [0-3]? [0-7] | "x" HEX HEX)
BYTES ::= [bB] ("'" ([ -&(-\[\]-_a-~] | BYTESCAPE)* "'" | "\"" ([ !#-\[\]-_a-~] | BYTESCAPE)* "\"")
FSINGLE ::= [fF] "'"
FDOUBLE ::= [fF] "\""
CHUNKS ::= ([^{_NO_CONTROL}'\\{{}}] | ESCAPE)+
CHUNKD ::= ([^{_NO_CONTROL}"\\{{}}] | ESCAPE)+
BRACE ::= "{{{{" | "}}}}"
OPEN ::= "{{" " "*
CLOSE ::= " "* ("!" [rsa])? "}}"
CLOSESPEC ::= "}}"
SPEC ::= " "* ("!" [rsa])? ":"
SPECCHARS ::= [^\x00-\x1f\x7f`'"\\{{}}]+
QUOTEDS ::= "\"" [^\x00-\x1f\x7f`'"\\{{}}#]* "\""
QUOTEDD ::= "'" [^\x00-\x1f\x7f`'"\\{{}}#]* "'"
SEMICOLON ::= " "* ";" " "*
EQUALS ::= " "* "=" " "*
AUGMENT ::= " "* ([+\-*/%@|&^] | "//" | "**" | "<<" | ">>") "=" " "*
HINT ::= " "* ":" " "*
COLON ::= " "* ":" " "*
ARROW ::= " "* "->" " "*
WI ::= [ \t\n] | COMMENT "\n"
KEYEQUALSI ::= WI* "=" WI*
KEYEQUALST ::= " "* "=" " "*
AS ::= " "+ "as" " "+
FROM ::= " "+ "from" " "+
IMPORT ::= " "+ "import" " "+
"""

# $m: the mode, $n: the mode within its brackets, $w: what is white in it, $v: what is white within its brackets.
_LEXEMES_OF_MODE = Template(r"""
BINARY$M ::= $w* ([+\-*/%@|&^] | "//" | "**" | "<<" | ">>") $w*
COMPARE$M ::= $w* ([<>] | "==" | "!=" | "<=" | ">=") $w* | $w+ ("not" $w+)? "in" $w+
IS$M ::= $w+ "is" $w+
BOOLEAN$M ::= $w+ ("and" | "or") $w+
NOT$M ::= "not" $w+
UNARY$M ::= [+\-~] $w*
DOT$M ::= $w* "." $w*
COMMA$M ::= $w* "," $w*
IF$M ::= $w+ "if" $w+
ELSE$M ::= $w+ "else" $w+
FOR$M ::= $w+ "for" $w+
IN$M ::= $w+ "in" $w+
ROUND$M ::= "(" $v*
CALL$M ::= $w* "(" $v*
SQUARE$M ::= "[" $v*
INDEX$M ::= $w* "[" $v*
CURLY$M ::= "{" $v*
ROUNDEND$M ::= $w* ")"
SQUAREEND$M ::= $w* "]"
CURLYEND$M ::= $w* "}"
SLICE$M ::= $w* ":" $w*
GLUE$M ::= $w+
STAR$M ::= "*" $w*
STARS$M ::= "**" $w*
LAMBDA$M ::= "lambda"
LAMBDAS$M ::= "lambda" $w+
""")

_EXPRESSIONS = Template(r"""
expr$m ::= ternary$m $lambda
ternary$m ::= bool$m (IF$M bool$m ELSE$M expr$m)?
bool$m ::= inv$m (BOOLEAN$M inv$m)*
inv$m ::= NOT$M? comparison$m
comparison$m ::= arith$m (COMPARE$M arith$m | IS$M NOT$M? arith$m)*
arith$m ::= unary$m (BINARY$M unary$m)*
unary$m ::= UNARY$M? UNARY$M? (NUMBER | primary$m)
primary$m ::= atom$m trailer$m*
trailer$m ::= DOT$M NAME | CALL$M args$n? ROUNDEND$N | index$m
index$m ::= INDEX$M slice$n (COMMA$N slice$n)* COMMA$N? SQUAREEND$N
""")
_ATOMS = Template(r"""
atom$m ::= NAME | CONSTANT | strings$m | BYTES | ROUND$M group$n? ROUNDEND$N | SQUARE$M items$n? SQUAREEND$N
   | CURLY$M (pairs$n | items$n)? CURLYEND$N
strings$m ::= string (GLUE$M string)*
lambda$m ::= (LAMBDA$M | LAMBDAS$M arguments$m) SLICE$M expr$m
arguments$m ::= NAME (COMMA$M NAME)* (COMMA$M default$m)* (COMMA$M STAR$M NAME)?
   | default$m (COMMA$M default$m)* | STAR$M NAME
default$m ::= NAME KEYEQUALS$M expr$m
target$m ::= NAME | primary$m (DOT$M NAME | index$m)
one$m ::= target$m | ROUND$M targets$n ROUNDEND$N
targets$m ::= one$m (COMMA$M one$m)* (COMMA$M STAR$M target$m)? COMMA$M?
""")
_ATOMS_IN_F = Template(r"""
atom$m ::= NAME | CONSTANT | QUOTED$M | ROUND$M group$n? ROUNDEND$N | SQUARE$M items$n? SQUAREEND$N
targets$m ::= NAME (COMMA$M NAME)*
""")
_BRACKETED = Template(r"""
group$m ::= expr$m | item$m (COMMA$M item$m)* COMMA$M | item$m (COMMA$M item$m)+ | expr$m comprehension$m
item$m ::= expr$m | STAR$M arith$m
items$m ::= item$m (COMMA$M item$m)* COMMA$M? | expr$m comprehension$m
comprehension$m ::= (FOR$M targets$m IN$M bool$m (IF$M bool$m)*)+
args$m ::= positional$m (COMMA$M positional$m)* (COMMA$M key$m)* COMMA$M? | key$m (COMMA$M key$m)* COMMA$M?
   | expr$m comprehension$m
positional$m ::= expr$m | STAR$M expr$m
key$m ::= NAME $equals expr$m | STARS$M expr$m
slice$m ::= expr$m | expr$m? SLICE$M expr$m? (SLICE$M expr$m?)?
""")
_REST = r"""
pairsi ::= pairi (COMMAI pairi)* COMMAI? | expri SLICEI expri comprehensioni
pairi ::= expri SLICEI expri | STARSI arithi
string ::= STRING | FSINGLE (CHUNKS | BRACE | field-s)* "'" | FDOUBLE (CHUNKD | BRACE | field-d)* "\""
field-s ::= OPEN exprs (CLOSE | SPEC (SPECCHARS | OPEN NAME CLOSESPEC)* CLOSESPEC)
field-d ::= OPEN exprd (CLOSE | SPEC (SPECCHARS | OPEN NAME CLOSESPEC)* CLOSESPEC)
tuple ::= exprt (COMMAT exprt)* COMMAT?
import ::= "import" SPACES module (COMMAT module)*
   | "from" SPACES NAME ("." NAME)* IMPORT
   ("*" | member (COMMAT member)* | ROUNDT member (COMMAI member)* COMMAI? ROUNDENDI)
module ::= NAME ("." NAME)* (AS NAME)?
member ::= NAME (AS NAME)?
raise ::= "raise" | "raise" SPACES exprt (FROM exprt)?
yield ::= "yield" | "yield" SPACES tuple | "yield" FROM exprt
parameters ::= plain (COMMAI plain)* (COMMAI "/" (COMMAI plain)*)? (COMMAI valued)* (COMMAI starred)? COMMAI?
   | valued (COMMAI valued)* (COMMAI starred)? COMMAI? | starred COMMAI?
plain ::= NAME (SLICEI expri)?
valued ::= plain KEYEQUALSI expri
starred ::= STARI plain (COMMAI (plain | valued))* (COMMAI STARSI plain)?
   | STARI (COMMAI (plain | valued))+ (COMMAI STARSI plain)?
   | STARSI plain
context ::= exprt (AS targett)?
caught ::= "except" SPACES exprt (AS NAME)?
"""
# $f: what only functions and loops allow.
_LINES = Template(r"""
line$f ::= small$f (SEMICOLON small$f)*
small$f ::= tuple | (targetst EQUALS)+ tuple | targett AUGMENT tuple | targett HINT exprt (EQUALS tuple)? | "pass"
   | import | raise | "assert" SPACES exprt (COMMAT exprt)? | "del" SPACES targett (COMMAT targett)* $flow
""")
# $k: depth and context; $s: what divides its lines; $b, $l, $d, $c: suites of plain blocks, loops, functions, classes.
_STATEMENTS = Template(r"""
body$k ::= statement$k ($s statement$k)*
statement$k ::= line$f | if$k | while$k | for$k | def$k | class$k | try$k | with$k
   | ("@" primaryt $s)+ (def$k | class$k)
if$k ::= "if" SPACES exprt $b ($s "elif" SPACES exprt $b)* ($s "else" $b)?
while$k ::= "while" SPACES exprt $l ($s "else" $b)?
for$k ::= "for" SPACES targetst INT tuple $l ($s "else" $b)?
def$k ::= "def" SPACES NAME CALLT parameters? ROUNDENDI (ARROW exprt)? $d
class$k ::= "class" SPACES NAME (CALLT argsi? ROUNDENDI)? $c
try$k ::= "try" $b (($s caught $b)+ ($s "except" $b)? ($s "else" $b)? ($s "finally" $b)?
   | $s "except" $b ($s "else" $b)? ($s "finally" $b)? | $s "finally" $b)
with$k ::= "with" SPACES context (COMMAT context)* $b
""")


def _modes() -> Iterator[str]:
    yield _LEXEMES
    for mode, inner in (("t", "i"), ("i", "i"), ("s", "s"), ("d", "d")):
        in_f = mode in "sd"
        white, within = (r"WI" if m == "i" else r'" "' for m in (mode, inner))
        named = {"lambda": "" if in_f else f"| lambda{mode}"}
        named["equals"] = "KEYEQUALST" if in_f else f"KEYEQUALS{mode.upper()}"
        for part in (_LEXEMES_OF_MODE, _EXPRESSIONS, _ATOMS_IN_F if in_f else _ATOMS, *([_BRACKETED] * (mode != "t"))):
            yield part.substitute(named, m=mode, n=inner, M=mode.upper(), N=inner.upper(), w=white, v=within)
    yield _REST


def _statements(deepest: int) -> Iterator[str]:
    """The lines and blocks of every depth, after the first one indented by one of the units. A context is a string:
    ``f`` within a function, ``l`` within a loop."""
    for context in ("", "f", "l", "fl"):
        flow = ('| yield | (targetst EQUALS)+ yield | "return" | "return" SPACES tuple ' if "f" in context else "") + (
            '| "break" | "continue"' if "l" in context else ""
        )
        yield _LINES.substitute(f=context, flow=flow)
    yield 'SEP0 ::= TRAIL "\\n" BLANKS\n'
    reached, queue = {("", 0, "")}, [("", 0, "")]
    for unit, depth, context in queue:
        suites: dict[str, str] = {}
        for name, within in (("b", context), ("l", context.replace("l", "") + "l"), ("d", "f"), ("c", "")):
            inner = [(u, depth + 1, within) for u in (unit or _UNITS)] if depth < deepest else []
            suites[name] = f"suite{_name(unit, depth, within)}"
            queue += [i for i in inner if i not in reached]
            reached.update(inner)
        yield _STATEMENTS.substitute(suites, k=_name(unit, depth, context), s=_separator(unit, depth), f=context)
    for unit, depth, context in sorted({(u, d, c) for u, d, _ in reached for c in ("", "f", "l", "fl")}):
        inner = [(u, depth + 1, context) for u in (unit or _UNITS)]
        blocks = [f"COLON {_separator(*i[:2])} body{_name(*i)}" for i in inner if i in reached]
        yield f"suite{_name(unit, depth, context)} ::= HINT line{context} {' '.join('| ' + b for b in blocks)}\n"
    for letter, blanks in _UNITS.items():
        for depth in range(1, deepest + 1):
            yield f'{_separator(letter, depth)} ::= TRAIL "\\n" BLANKS {_quoted(blanks * depth)}\n'


def _name(unit: str, depth: int, context: str) -> str:
    return f"-{unit}{depth}{context}"


def _separator(unit: str, depth: int) -> str:
    return f"SEP{unit.upper()}{depth}"


def _quoted(text: str) -> str:
    spelt = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{spelt}"'


# --- spelt for llguidance and for servers ---

_RULE = re.compile(r"^([\w-]+) ::= (.*(?:\n +.*)*)", re.MULTILINE)
_PART = re.compile(r'("(?:[^"\\]|\\.)*")|(\[(?:[^\]\\]|\\.)*\])')
_KEYWORDS = tuple(sorted(keyword.kwlist))
# What would be read as reasoning, or as another block than the step's own (agentdistill.parse).
_MARKS = (
    r"```|~~~|<[^ \n0-9=<]"
    r"|<[ \n]\/?[a-zA-Z:_-]*(?i:think|thought|reason|monologue|analysis|scratchpad|reflection|chain|思考)"
    r"|\[(?i:\/|\||python|think|thought|reason)|◁"
)


def _rules(form: StepForm, begun: bool, deepest: int) -> dict[str, str]:
    """The rules by name. ``begun`` says that what is written goes on within a thought."""
    rules = {
        name: " ".join(right.split("\n"))
        for part in (*_modes(), *_statements(deepest))
        for name, right in _RULE.findall(part)
    }
    thought = "THOUGHT" if begun else f"{_quoted(form.opening)} THOUGHT"
    bare = f" | {_quoted(form.bare)}" if form.bare and not begun else ""
    return {"root": f"({thought}{bare}) LEAD? body-0 END", **rules}


@lru_cache(maxsize=16)
def lark(form: StepForm, begun: bool = False) -> str:
    """The grammar for llguidance."""
    rules = _rules(form, begun, _DEPTH)
    lines = ["%llguidance {}", f"start: {_PART.sub(_as_regex, rules.pop('root'))}"]
    text = r"/[^\x00-\x08\x0b-\x1f\x7f]*/"
    lines.append(f"THOUGHT: ({text} & ~/(?s:.*)({_MARKS})(?s:.*)/) {_quoted(form.between)}")
    lines.append(f"NAME: /[A-Za-z_][A-Za-z_0-9]*/ & ~/{'|'.join(_KEYWORDS)}/")
    return "\n".join([*lines, *(f"{name}: {_PART.sub(_as_regex, right)}" for name, right in rules.items())])


def _as_regex(found: re.Match[str]) -> str:
    return found[1] or f"/{found[2].replace('/', chr(92) + '/')}/"


@lru_cache(maxsize=16)
def gbnf(form: StepForm, begun: bool = False) -> str:
    """The grammar for servers that take GBNF."""
    rules = _rules(form, begun, _DEPTH_SENT)
    rules["THOUGHT"] = rf'("`"? "`"? ([^`<~\x00-\x08\x0b-\x1f\x7f] | "<" [ =0-9]))* {_quoted(form.between)}'
    rules |= _names()
    return "\n".join(f"{name} ::= {right}" for name, right in rules.items())


def _names() -> dict[str, str]:
    """Names that are no keywords: a tree of the beginnings of keywords, left at the first letter that is another."""
    rules = {"LETTERS": "[A-Za-z0-9_]*"}
    for start in sorted({word[:n] for word in _KEYWORDS for n in range(len(word) + 1)}):
        after = sorted({word[len(start)] for word in _KEYWORDS if word.startswith(start) and word != start})
        others = "".join(c for c in _WORD if c not in after and (start or not c.isdigit()))
        branches = [f"[{others}] LETTERS", *(f'"{c}" {_node(start + c)}' for c in after)]
        rules[_node(start)] = " | ".join(branches + ['""'] * bool(start and start not in _KEYWORDS))
    return rules


_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz0123456789"


def _node(start: str) -> str:
    return f"NAME-{start}" if start else "NAME"
