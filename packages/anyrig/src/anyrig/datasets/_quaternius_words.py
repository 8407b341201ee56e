"""What to call the creatures and what to say of their clips. Written from the clips' names."""

from __future__ import annotations

import re

# file -> (noun, stance)
CREATURES = {
    "Alpaca": ("alpaca", "four legs"),
    "Apatosaurus": ("apatosaurus", "four legs"),
    "Bee": ("bee", "air"),
    "Bull": ("bull", "four legs"),
    "Cow": ("cow", "four legs"),
    "Crab": ("crab", "ground"),
    "Deer": ("deer", "four legs"),
    "Dolphin": ("dolphin", "water"),
    "Donkey": ("donkey", "four legs"),
    "Fish1": ("fish", "water"),
    "Fish2": ("fish", "water"),
    "Fox": ("fox", "four legs"),
    "Frog": ("frog", "crouch"),
    "Horse": ("horse", "four legs"),
    "Husky": ("husky", "four legs"),
    "Manta_ray": ("manta ray", "water"),
    "Parasaurolophus": ("parasaurolophus", "two legs"),
    "Rat": ("rat", "four legs"),
    "ShibaInu": ("Shiba Inu", "four legs"),
    "Snake": ("snake", "coil"),
    "Stag": ("stag", "four legs"),
    "Stegosaurus": ("stegosaurus", "four legs"),
    "Triceratops": ("triceratops", "four legs"),
    "Wasp": ("wasp", "air"),
    "Whale": ("whale", "water"),
}

_STANCES = {
    "four legs": "Standing on four legs",
    "two legs": "Standing on its hind legs",
    "crouch": "Crouching on bent legs",
    "coil": "With its head raised above the ground",
    "ground": "Sitting on the ground",
    "air": "Hovering in the air",
    "water": "Floating in the water",
    "": "From its resting pose",
}

# clip -> (action, what the creature does, how its parts move)
ACTIONS = {
    "attack": ("attack", "attacks", "It lunges forward with its head and body and draws back."),
    "attack_headbutt": ("attack", "attacks with its head", "It lowers its head, thrusts it forward and draws back."),
    "attack_kick": ("attack", "kicks with its hind legs", "It leans forward and its hind legs lash out to the rear."),
    "bite_front": ("attack", "bites at something in front of it", "Its body jerks forward and its mouth snaps."),
    "bite_inplace": ("attack", "bites on the spot", "Its mouth opens and snaps while its body stays in place."),
    "dance": ("dance", "dances", "Its body bobs and sways in a rhythm."),
    "death": ("death", "dies", "It loses its hold, sinks to the ground and lies still."),
    "eating": ("eat", "eats from the ground", "Its neck bends down and its head moves close to the ground."),
    "flying": ("fly", "flies on the spot", "Its wings beat and its body rises and falls a little."),
    "gallop": ("gallop", "gallops", "Fore and hind legs swing in turn while its back bends and stretches."),
    "gallop_jump": ("jump", "jumps at a gallop", "Its hind legs push off, its legs fold, and it lands running."),
    "hitrecieve": ("hit", "is hit", "Its body jolts back and recovers."),
    "idle": ("idle", "stands idle", "Its body rises and falls slowly as it breathes."),
    "idle_2": ("idle", "stands idle and looks around", "Its head turns while its feet stay in place."),
    "idle_2_headlow": ("idle", "stands idle with a low head", "Its head hangs low while its feet stay in place."),
    "idle_headlow": ("idle", "stands idle with a low head", "Its head hangs low while its feet stay in place."),
    "idle_hitreact_left": ("hit", "is hit on its left side", "Its body jolts away from its left and recovers."),
    "idle_hitreact_right": ("hit", "is hit on its right side", "Its body jolts away from its right and recovers."),
    "jump": ("jump", "jumps", "Its body sinks, its legs push off the ground, and it lands again."),
    "jump_toidle": ("jump", "jumps and comes to a halt", "It leaps off its hind legs, lands, slows down and stands."),
    "no": ("shake", "shakes its head", "Its head turns from side to side."),
    "run": ("run", "runs", "Its legs swing fast and far while its body bobs."),
    "swim": ("swim", "swims", "A wave runs along its body and its tail beats."),
    "walk": ("walk", "walks", "It moves forward at an even pace, one step after another."),
    "yes": ("nod", "nods", "Its head tips up and down."),
}


def action_name(clip_name: str) -> str:
    """What a clip shows: the longest end of its name that is in :data:`ACTIONS`, else all of it, in lower case.

    >>> action_name("AnimalArmature|Attack_Kick"), action_name("Armature|Stegosaurus_Death"), action_name("Swim.001")
    ('attack_kick', 'death', 'swim')
    """
    name = re.sub(r"\.\d+$", "", clip_name.rsplit("|", 1)[-1]).lower()
    parts = name.split("_")
    ends = ("_".join(parts[n:]) for n in range(len(parts)))
    return next((end for end in ends if end in ACTIONS), name)


def describe(creature: str, name: str) -> tuple[str, tuple[str, str, str]]:
    """The action and the short, mid and long caption of a clip, by its creature's file and :func:`action_name`."""
    noun, stance = CREATURES.get(creature, (re.sub(r"[_\d]+", " ", creature).strip().lower() or "creature", ""))
    words = name.replace("_", " ")
    action, verb, parts = ACTIONS.get(name, (words, f"shows {words}", f"It moves as in {words}."))
    article = "an" if noun[0].lower() in "aeiou" else "a"
    short = f"{article.capitalize()} {noun} {verb}."
    return action, (short, parts, f"{_STANCES[stance]}, {article} {noun} {verb}. {parts}")
