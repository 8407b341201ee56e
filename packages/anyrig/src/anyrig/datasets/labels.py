"""What real creatures are called and do: nouns from file names, actions from clip names, captions from both and from
what a clip measures.

An action is called as in :mod:`anyrig.creatures` where it is the same. A new species is a word in :data:`KINDS`, a new
clip name a row in :data:`ACTIONS`, in which the first pattern that is found decides.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anyrig.conform import extent
from anyrig.creatures.captions import a, choose, gerund, sentence, third
from anyrig.features import FORWARD, HEIGHT, LEFT, TURNING, encode, size_of, words
from anyrig.skeleton import Clip

KINDS = {
    "quadruped": "alpaca, apatosaurus, bull, cat, cow, deer, dog, donkey, four-legged robot, fox, frog, horse, husky, "
    "llama, pig, pug, rat, sheep, Shiba Inu, stag, stegosaurus, triceratops, wolf",
    "biped": "alien, astronaut frog, cactus man, demon, fish man, goblin, knight, large robot, mech, parasaurolophus, "
    "person, robot, skeleton, two-legged dinosaur, two-legged robot, witch, wizard, yeti, zombie",
    "bird": "bat, bird, chick, chicken",
    "dragon": "dragon",
    "fish": "anglerfish, dolphin, fish, flatfish, goldfish, lionfish, manta ray, pufferfish, shark, sunfish, "
    "swordfish, whale",
    "hexapod": "armoured bee, bee, wasp",
    "octopod": "spider",
    "serpent": "snake",
    "other": "cactus blob, crab, flying alien, flying golem, flying octopus, flying robot, ghost, monster, "
    "skull monster, slime, tall alien, winged cthulhu",
}
"""Kind of creature -> the nouns of real ones."""
AIR = ("bat", "bee", "armoured bee", "bird", "dragon", "flying alien", "flying golem", "flying octopus",
       "flying robot", "ghost", "wasp", "winged cthulhu")  # fmt: skip
PEOPLE = ("person", "knight", "witch", "wizard")
_KIND_OF = {noun: kind for kind, nouns in KINDS.items() for noun in nouns.split(", ")}
_ALIASES = {
    "human": "person", "mannequiny": "person", "cesium man": "person", "rigged figure": "person", "daz": "person",
    "human knight": "knight", "knight character": "knight", "human witch": "witch", "human skeleton": "skeleton",
    "two-legged dino": "two-legged dinosaur", "dino": "two-legged dinosaur", "puffer": "pufferfish",
    "shiba inu": "Shiba Inu", "hywirl": "flying octopus", "goleling": "flying golem", "armabee": "armoured bee",
    "george": "mech", "leela": "mech", "stan": "mech", "greenman": "goblin", "skull": "skull monster",
    "cactoro ultimate": "cactus man", "cactoro blob": "cactus blob", "enemy flying": "flying robot",
    "enemy 2 legs": "two-legged robot", "character": "person",
}  # fmt: skip
OBJECTS = ("object", "bouncer", "chest", "lever", "trap", "tank", "tube", "rigged simple", "test pattern",
           "recursive skeletons", "door", "box brain stem")  # fmt: skip
"""Words in names of files that show things, not creatures."""


def noun_of(name: str) -> str:
    """The noun in a species or a file's name; ``""`` for an object, ``"creature"`` where none is known.

    >>> noun_of("human (KayKit medium rig)"), noun_of("Fish_Ultimate"), noun_of("Chest"), noun_of("George_3")
    ('person', 'fish', '', 'mech')
    """
    plain = re.sub(r"\(.*?\)", " ", name).replace("-", " ").replace("_", " ")
    text = f" {' '.join(words(plain))} "
    if any(f" {thing} " in text for thing in OBJECTS):
        return ""
    known = {n.replace("-", " ").lower(): n for n in _KIND_OF} | {k.replace("-", " "): n for k, n in _ALIASES.items()}
    found = [n for n in known if f" {n} " in text]
    return known[max(found, key=len)] if found else "creature"


def kind_of(noun: str) -> str:
    """The kind of creature, ``"other"`` where it is like none of :data:`anyrig.creatures.kinds`."""
    return _KIND_OF.get(noun, "other")


POSES = re.compile(r"\b(t pose|pose|poses|reset|static|binding|bind)\b")
"""Names of clips that are poses."""

ACTIONS = (
    # pattern | action | verb phrases
    ("jumping jacks", "exercise", "do jumping jacks"),
    ("push ?ups?", "exercise", "do push-ups"),
    ("sit ups", "exercise", "do sit-ups"),
    ("backflip", "backflip", "do a backflip|flip backward through the air"),
    ("wheelchair look (left|right)", "look_around", "look {1} while sitting in a wheelchair"),
    ("wheelchair move (forward|back)", "wheelchair", "push a wheelchair {1}"),
    ("wheelchair move (left|right)", "wheelchair", "turn a wheelchair {1}"),
    ("wheelchair", "sit", "sit in a wheelchair"),
    (r"\bdriv(e|ing)", "drive", "drive|steer a vehicle"),
    ("gallop jump", "jump", "jump at a gallop|leap at a gallop"),
    ("jump to idle", "jump", "jump and come to a halt"),
    ("walk jump", "jump", "jump while walking"),
    ("(sword )?attack jump( chop)?", "attack", "jump and strike with a weapon"),
    ("jump (start|anticipation)", "jump", "push off for a jump|start a jump"),
    ("jump land|air land", "land", "land after a jump|land on [its|both] feet"),
    (r"jump (idle|loop)|\bfall(ing)?\b|air jump", "fall", "fall through the air|hang in the air"),
    ("jump no height", "jump", "make the motions of a jump|crouch and stretch as if to jump"),
    ("jump full long", "jump", "jump far|make a long jump"),
    (r"\bjump", "jump", "jump|leap into the air|jump up"),
    ("walk\\w* back|backward walk", "walk_backward", "walk backward|step backward"),
    ("run back", "run_backward", "run backward"),
    ("(run|running)( strafe)? (left|right)", "sidestep", "run sideways to the {3}|dash to the {3}"),
    ("dodge (backward|forward)", "dodge", "dodge {1}|spring {1} to dodge"),
    ("dodge (left|right)", "dodge", "dodge to the {1}|spring {1} to dodge"),
    ("sneak|crouch fwd|crouching", "sneak", "sneak forward|creep forward in a crouch"),
    ("crawl", "crawl", "crawl|crawl forward"),
    (r"\b(crouch|duck)\b", "crouch", "crouch|duck down"),
    (r"\broll\b", "roll", "roll forward|do a forward roll"),
    (r"(run|walk)\b.* shoot", "{1}", "{1} and shoot"),
    (r"run (sword )?attack", "run", "run and attack|attack at a run"),
    (r"(run|running|walk) (gun|sword right|holding bow|holding rifle)", "{1}", "{1} with a weapon"),
    (r"(run|walk) (carry|hold|holding)", "{1}", "{1} and carry something|carry something at a {1}"),
    (r"(run|walk) tall", "{1}", "{1} upright|{1} with a straight back"),
    ("run anime", "run", "run with [its] arms stretched back"),
    ("sprint", "run", "sprint|run fast"),
    ("jog", "run", "jog|run at an easy pace"),
    ("gallop", "run", "gallop|run at a gallop"),
    (r"\brun", "run", "run|run forward"),
    ("walk formal", "walk", "walk in a formal manner|stride"),
    ("walk slow", "walk", "walk slowly|amble"),
    (r"\bwalk|\bmove\b", "walk", "walk|walk forward"),
    ("trot", "trot", "trot|trot forward"),
    ("side winding", "slither", "slither|wind over the ground in curves"),
    ("turn(ing)? left", "turn_left", "turn left|turn to the left"),
    ("turn(ing)? right", "turn_right", "turn right|turn to the right"),
    ("glide", "glide", "glide|glide on spread wings"),
    ("fast flying", "fly", "fly fast|fly quickly"),
    ("flying idle|levitate idle", "hover", "hover in the air|float on the spot"),
    ("levitate", "take_off", "rise into the air|float up into the air"),
    ("flying forward super", "fly", "fly forward with [its] arms ahead"),
    (r"\bfly|\bflap", "fly", "fly|fly forward"),
    ("swimming fast", "swim", "swim fast|swim quickly"),
    ("swimming impulse|dash", "dash", "dart forward|dash forward"),
    ("swim idle", "tread_water", "tread water|keep afloat on the spot"),
    ("swim vertical", "swim", "swim with a tail that beats up and down"),
    (r"\bswim", "swim", "swim|swim forward"),
    ("out of water", "flop", "flop about out of the water|thrash on dry land"),
    ("dead floating", "death", "float dead in the water|die and drift"),
    ("death resurrect", "get_up", "rise from the dead|get up from the ground"),
    ("defeat", "defeat", "show defeat|slump in defeat"),
    (r"\b(death|die|dead)\b", "death", "die|collapse and die"),
    (r"hit react (left|right)", "hit", "be hit on the {1} side|flinch from a blow on the {1}"),
    ("hit (chest|head)", "hit", "be hit on the {1}"),
    ("block hit", "hit", "catch a blow on [its] guard"),
    (r"\b(hit|impact)\b", "hit", "be hit|take a hit|flinch from a blow"),
    ("head ?but", "attack", "butt with [its] head|strike with [its] head"),
    ("kick (left|right)", "attack", "kick with [its] {1} leg"),
    ("kick", "attack", "kick|strike out with a leg"),
    ("bite in place", "attack", "bite on the spot|snap [its] mouth shut"),
    ("bite", "attack", "bite|snap at something ahead"),
    ("(punch|attack melee|fighting) (left|right)", "attack", "strike with [its] {2} arm|punch with [its] {2} arm"),
    ("jab|cross", "attack", "throw a quick punch|jab"),
    ("punch enter", "ready", "raise [its] fists"),
    ("punch", "attack", "punch|throw a punch"),
    ("dualwield.* (chop|slice|stab)", "attack", "{1} with two weapons"),
    ("2 h.* (chop|slice|stab|spin)", "attack", "{1} with a two-handed weapon"),
    ("(chop|slice|stab)", "attack", "{1} with a weapon|attack with a weapon"),
    ("block attack", "attack", "strike from behind a guard"),
    ("block|defend", "block", "block|raise [its] guard"),
    ("reload", "reload", "reload a weapon"),
    ("draw up|draw", "aim", "draw a bow"),
    ("release", "shoot", "shoot with a bow|let an arrow fly"),
    (r"\baim|pointing", "aim", "aim a weapon|take aim"),
    ("holding (both|left|right) shoot", "shoot", "shoot|fire a weapon"),
    ("spell simple idle", "cast", "hold a spell ready"),
    ("spell|magic|blast", "cast", "cast a spell|work magic"),
    (r"shoot|\bweapon\b", "shoot", "shoot|fire a weapon"),
    ("holding both", "hold", "hold something with both hands"),
    ("holding (left|right)", "hold", "hold something with [its] {1} hand"),
    ("sword slash|sword attack", "attack", "slash with a sword|swing a sword"),
    ("idle attack", "attack", "attack|strike at something ahead"),
    (r"idle (gun|sword|torch)|pistol idle", "idle", "stand ready with a {1}|stand idle with a {1}"),
    ("sword idle|bow idle|2 h idle|unarmed idle|fight(ing)? idle", "ready", "stand ready to fight|wait for a fight"),
    ("idle to fight", "ready", "get ready to fight|raise [its] fists"),
    ("idle hold", "hold", "stand and hold something"),
    ("idle talking", "talk", "stand and talk|talk"),
    ("idle listening", "idle", "stand and listen|listen"),
    ("sitting talking", "talk", "sit and talk"),
    ("idle peck", "eat", "peck at the ground|peck for food"),
    ("eat|consume", "eat", "eat|feed"),
    ("idle 2 head low|idle headlow", "idle", "stand with a low head|rest with [its] head low"),
    ("idle alert|survey|idle 2", "look_around", "look around|stand and look around"),
    (r"(sit|sitting)\b.* (stand up|exit)", "stand_up", "stand up|rise from a seat"),
    (r"sit floor down", "sit", "sit down on the ground"),
    (r"sit (chair )?down|sitting enter", "sit", "sit down|take a seat"),
    (r"\bsit", "sit", "sit|remain seated"),
    ("lie stand up|lay to idle", "get_up", "get up from the ground|stand up"),
    ("lie down", "lie_down", "lie down|stretch out on the ground"),
    ("lie idle|sleep", "sleep", "sleep|lie still"),
    ("kneel|fixing", "kneel", "kneel|work on [its] knees"),
    ("tired", "idle", "stand tired|sag with weariness"),
    (r"\bidle", "idle", "stand idle|stand still|idle"),
    ("stand up|standing", "stand_up", "stand up|get up"),
    ("thumbs up", "thumbs_up", "give a thumbs-up"),
    (r"\b(yes|nod)\b", "nod", "nod|nod [its] head"),
    (r"\bno\b|reject", "shake_head", "shake [its] head|say no with [its] head"),
    (r"\b(wave|waving|hello|greeting)\b", "wave", "wave|wave in greeting"),
    ("dance", "dance", "dance|move in a dance"),
    ("cheer|victory", "cheer", "cheer|celebrate"),
    ("taunt", "taunt", "taunt an opponent|make a mocking gesture"),
    (r"\bbow\b", "bow", "bow|take a bow"),
    ("bark|howl|roar", "roar", "{0}"),
    ("fetch", "pick_up", "fetch something with [its] mouth"),
    (r"\brear\b", "rear", "rear up|rear up on [its] hind legs"),
    ("coiled", "idle", "lie coiled|rest in a coil"),
    ("pick ?up", "pick_up", "pick something up|reach down for something"),
    ("interact|use item", "interact", "reach out and handle something"),
    ("throw", "throw", "throw something|throw an object"),
    (r"\bpush\b", "push", "push something heavy|push forward"),
    ("spawn air", "land", "drop from the air and land"),
    ("spawn|awaken", "get_up", "rise from the ground|get up"),
    ("power up", "power_up", "gather strength|tense [its] whole body"),
    ("angry", "angry", "stamp in anger|rage"),
    ("confused|dizzy", "stagger", "look {0}|sway as if {0}"),
    ("shiver", "shiver", "shiver|tremble with cold"),
    ("meditate", "meditate", "meditate|sit in meditation"),
    ("transform", "transform", "transform|change shape"),
    ("attack", "attack", "attack|strike"),
)

CMU = {
    "walk on uneven terrain": ("walk", "walk over uneven ground"),
    "playground - forward jumps, turn around": ("jump", "jump forward several times, then turn round"),
    "playground - climb, sit, dangle legs, rock back, lower self to ground":
        ("climb", "climb, then sit and dangle the legs, then climb down"),
    "playground - climb, jump down, dangle, legs push off against":
        ("climb", "climb, then hang by the arms, then jump down"),
    "jump, balance": ("jump", "jump, then balance on one leg"),
    "bend over, scoop up, rise, lift arm": ("pick_up", "bend over, then scoop something up, then lift an arm"),
    "wash self": ("wash", "wash"),
    "basketball - forward dribble": ("basketball", "dribble a basketball forward"),
    "basketball - backward dribble": ("basketball", "dribble a basketball backward"),
    "basketball - sideways dribble": ("basketball", "dribble a basketball sideways"),
    "basketball - forward dribble, 90-degree left turns": ("basketball", "dribble a basketball, then turn left"),
    "basketball - forward dribble, 90-degree right turns": ("basketball", "dribble a basketball, then turn right"),
    "basketball - forward dribble, 90-degree right turns, crossover dribble":
        ("basketball", "dribble a basketball from hand to hand, then turn right"),
    "basketball - crossover dribble, shoot": ("basketball", "dribble a basketball from hand to hand, then shoot it"),
    "basketball - dribble, shoot": ("basketball", "dribble a basketball, then shoot it"),
    "slow walk": ("walk", "walk slowly"),
    "brisk walk": ("walk", "walk briskly"),
    "walk/stride": ("walk", "stride"),
    "slow walk/stride": ("walk", "stride slowly"),
    "walk, exaggerated stride": ("walk", "walk with exaggerated strides"),
    "run/jog": ("run", "jog"),
    "run, leap": ("jump", "run, then leap"),
    "start walk stop": ("walk", "start to walk, then stop"),
    "rightwideturn": ("turn_right", "walk in a wide curve to the right"),
    "navigate - walk forward, backward, sideways": ("walk", "walk forward, then backward, then sideways"),
    "soccer - kick ball": ("kick", "kick a ball"),
    "sit on high stool, stand up": ("sit", "sit on a high stool, then stand up"),
    "sit on stepstool, stand up, swing legs": ("sit", "sit on a low stool and swing the legs, then stand up"),
    "sit on stepstool, ankle on other knee, hand on chin": ("sit", "sit on a low stool with one leg over the other"),
    "sit on stepstool, stand up": ("sit", "sit on a low stool, then stand up"),
    "unscrew bottlecap, drink soda": ("drink", "open a bottle, then drink from it"),
    "unscrew bottlecap, drink soda, screw on bottlecap": ("drink", "open a bottle, then drink, then close it"),
    "drink soda, screw on bottlecap": ("drink", "drink from a bottle, then close it"),
    "drink soda": ("drink", "drink from a bottle"),
    "jump up to grab, reach for, tiptoe": ("reach", "reach up on tiptoe, then jump to grab something"),
    "forward jump": ("jump", "jump forward"),
    "direct traffic, wave": ("wave", "direct traffic, then wave"),
    "jumping jacks, side twists, squats, jog": ("exercise", "do jumping jacks, then twists and squats, then jog"),
    "jumping jacks, side twists, bend over, jog": ("exercise", "do jumping jacks, then twist, then bend over"),
    "climb ladder": ("climb", "climb a ladder"),
    "climb 3 steps": ("climb", "climb three steps"),
    "wash windows": ("wash", "wash windows"),
    "punch/strike": ("attack", "punch|throw punches"),
    "swordplay": ("attack", "fence with a sword|fight with a sword"),
    "boxing": ("attack", "box|throw punches"),
    "martial arts moves": ("attack", "do martial arts"),
    "laugh": ("laugh", "laugh"),
    "salsa dance": ("dance", "dance salsa"),
    "indian dance": ("dance", "dance an Indian dance"),
}  # fmt: skip
"""Descriptions of CMU's trials -> action and verbs; those that begin with "dance" are in :func:`label_of`."""


@dataclass(frozen=True, slots=True)
class Label:
    """The ``action`` of a clip and phrases for it, ``"one|other"``, that start with a verb's base form."""

    action: str
    verbs: str


def clip_words(name: str) -> str:
    """The words of a clip's name, without those before a bar and numbers of copies.

    >>> clip_words("AnimalArmature|Idle_HitRecieve.001"), clip_words("Bite_InPlace")
    ('idle hit', 'bite in place')
    """
    last = re.sub(r"\.\d+$", "", name.rsplit("|", 1)[-1]).replace("_", " ")
    text = " ".join(words(last.replace("-", " ")))
    return re.sub(r"\b(recieve hit|hit recieve|hit react recieve)\b", "hit", text)


def label_of(name: str, noun: str, *, feet: bool) -> Label | None:
    """What a clip called ``name`` (or a trial so described) shows of a ``noun``; None for a name that says nothing.

    Without ``feet``, what flies does not walk or stand, and a snake does not walk.
    """
    if name.lower() in CMU:
        return Label(*CMU[name.lower()])
    if name.lower().startswith("dance - "):
        return Label("dance", "dance|dance ballet")
    text = clip_words(name)
    for pattern, action, verbs in ACTIONS:
        found = re.search(pattern, text)
        if found is not None:
            groups = [found[0], *(g or "" for g in found.groups())]
            base = {"running": "run", "walking": "walk", "chop": "chop", "spin": "spin round and strike"}
            groups = [base.get(g, g) for g in groups]
            return _fitting(Label(action.format(*groups), verbs.format(*groups)), noun, feet)
    return None


_FLOATS = {"walk": Label("fly", "fly slowly forward|float forward"), "run": Label("fly", "fly fast|rush forward"),
           "idle": Label("hover", "hover in the air|float on the spot"), "fall": Label("hover", "hang in the air"),
           "sprint": Label("fly", "rush forward")}  # fmt: skip
_CRAWLS = {"walk": Label("slither", "slither|slither forward"), "run": Label("slither", "slither fast"),
           "idle": Label("idle", "rest with a raised head|sway with a raised head"),
           "jump": Label("jump", "jump|spring into the air")}  # fmt: skip
_DRIFTS = {"idle": Label("idle", "float in the water|hang in the water")}
_HOPS = {"walk": Label("walk", "hop forward|move forward in hops"), "run": Label("run", "hop forward fast"),
         "idle": Label("idle", "rest on the spot|idle")}  # fmt: skip


def _fitting(label: Label, noun: str, feet: bool) -> Label:
    if feet:
        return label
    kind = kind_of(noun)
    table = _CRAWLS if kind == "serpent" else _DRIFTS if kind == "fish" else _FLOATS if noun in AIR else _HOPS
    return table.get(label.action, label) if "stand" in label.verbs or label.action != "idle" else label


@dataclass(frozen=True, slots=True)
class Measured:
    """Of a clip: ``speed`` (body lengths a second) and its ``way``, ``turn`` (degrees to the left), ``rise`` and
    ``fall`` of the body at most, in its heights over the ground, ``ends_low``, and ``liveliness``, the mean speed of
    the joints in body lengths a second."""

    speed: float
    way: str
    turn: float
    rise: float
    fall: float
    ends_low: bool
    liveliness: float


def measure(clip: Clip) -> Measured:
    """What is measured of a clip of a creature that faces z and stands at y = 0."""
    length = extent(clip.skeleton) / size_of(clip.skeleton)
    path = encode(clip).path
    forward, left = float(path[:, FORWARD].mean()) / length, float(path[:, LEFT].mean()) / length
    turn = float(np.degrees(path[1:, TURNING].sum() / clip.fps))
    height = path[:, HEIGHT]
    tall = max(float(np.ptp(clip.skeleton.rest_positions()[:, 1])), 0.3 * extent(clip.skeleton)) / size_of(
        clip.skeleton
    )
    at = clip.world()[0]
    around = at - at[:, [clip.skeleton.main_root]]
    lively = np.linalg.norm(np.diff(around, axis=0), axis=-1).mean() if clip.n_frames > 1 else 0.0
    way = ("forward" if forward > 0 else "backward") if abs(forward) >= abs(left) else "to the left"
    return Measured(
        speed=float(np.hypot(forward, left)),
        way=way if abs(forward) >= abs(left) or left > 0 else "to the right",
        turn=turn,
        rise=float(height.max() - height[0]) / tall,
        fall=float(height[0] - height.min()) / tall,
        ends_low=bool(height[-1] - height.min() < 0.5 * (height[0] - height.min())),
        liveliness=float(lively) * clip.fps / extent(clip.skeleton),
    )


_PARTS = ((0.12, ""), (0.27, "a fifth of"), (0.42, "a third of"), (0.7, "half of"), (1.3, "all of"))


def _share(value: float) -> str:
    """A share of a body's height in words; empty where it is too small to be seen."""
    return next((word for limit, word in _PARTS if value < limit), "more than")


def moves(m: Measured, label: Label, noun: str, rng: random.Random) -> str:
    """A clause on how a creature moves, by its measures: ``"moves forward at 1.2 body lengths a second"``."""
    its = "their" if noun in PEOPLE else "its"
    told = []
    if m.speed >= 0.1:
        side = "left" if "left" in label.verbs else "right"
        way = f"to the {side}" if label.action == "sidestep" else m.way
        pace = "slowly " if m.speed < 0.5 else "fast " if m.speed > 2.0 else ""
        told.append(f"moves {way} {pace}at [about |]{m.speed:.1f} body lengths a second")
    if abs(m.turn) >= 30:
        side = "left" if m.turn > 0 else "right"
        told.append(f"turns [about |]{10 * round(abs(m.turn) / 10):.0f} degrees to the {side}")
    bobs = m.speed >= 0.1 and not m.ends_low and max(m.rise, m.fall) < 0.27
    if _share(m.rise) and not bobs:
        told.append(f"rises by {_share(m.rise)} {its} height")
    if _share(m.fall) and not bobs and not (m.fall < m.rise and m.rise > 0.2):
        told.append(f"sinks by {_share(m.fall)} {its} height{' and stays down' if m.ends_low else ''}")
    if not told:
        quiet, lively = m.liveliness < 0.08, m.liveliness > 0.6
        how = "[hardly moves|moves only a little]" if quiet else "moves strongly" if lively else "moves"
        told.append(f"{how} on the spot")
    return choose(told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}", rng)


def captioned(clip: Clip, label: Label, noun: str, rng: random.Random) -> Clip:
    """The clip with its action and five captions from short to long, with wordings drawn by ``rng``: two of the action,
    one of how the creature moves, and two of both."""

    def verb(how: Callable[[str], str]) -> str:
        text = choose(rng.choice(re.split(r"\|(?![^\[]*\])", label.verbs)), rng)
        if noun in PEOPLE:
            text = re.sub(r"\bits\b", "their", text)
        first, *others = text.split(", then ")
        return ", then ".join([how(first), *(part if part in _NO_VERBS else how(part) for part in others)])

    def subject() -> str:
        return rng.choice([a(noun), f"the {noun}", "someone" if noun in PEOPLE else "it"])

    measured = measure(clip)
    short = [rng.choice([f"{subject()} {verb(third)}", verb(gerund)]) for _ in range(2)]
    mid = [
        f"the {noun} {moves(measured, label, noun, rng)}",
        f"{a(noun)} {verb(third)} and {moves(measured, label, noun, rng)}",
    ]
    long = f"{sentence(f'{a(noun)} {verb(third)}')} The {noun} {moves(measured, label, noun, rng)}"
    return replace(clip, action=label.action, captions=tuple(sentence(text) for text in (*short, *mid, long)))


_NO_VERBS = {"backward", "sideways", "twists and squats"}
"""Parts of a sequence that have the verb of the part before."""
