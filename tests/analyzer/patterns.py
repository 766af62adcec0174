"""Drum patterns: for each voice a string of sixteenths of one or more 4/4 bars.

`X` is a full stroke, `x` a normal one, `-` a ghost note, `.` a rest.
"""

STROKES = {"X": 1.0, "x": 0.75, "-": 0.3}

PATTERNS: dict[str, dict[str, str]] = {
    "click": {"click": "X...X...X...X..."},
    "accented_click": {"accent": "X...............", "click": "....x...x...x..."},
    "four_on_floor": {"kick": "X...X...X...X...", "open": "..x...x...x...x.", "clap": "....X.......X..."},
    "four_on_floor_bare": {"kick": "X...X...X...X..."},
    "four_on_floor_hats": {"kick": "X...X...X...X...", "hat": "x-x-x-x-x-x-x-x-"},
    "four_on_floor_eighths": {"kick": "X...X...X...X...", "hat": "x.x.x.x.x.x.x.x.", "snare": "....X.......X..."},
    "techno": {"kick": "X...X...X...X...", "hat": "..x...x...x...x.", "rim": "...x..x....x..x."},
    "trance": {"kick": "X...X...X...X...", "open": "..X...X...X...X.", "shaker": "x-x-x-x-x-x-x-x-"},
    "rock": {"kick": "X.......X.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    "rock_busy": {"kick": "X.....x.X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    "breakbeat": {"kick": "X.........X.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    "two_step": {"kick": "X.........x.....", "snare": "....X.......X...", "hat": "..x...x...x...x."},
    "amen": {"kick": "X.x.......xx....", "snare": "....X..-.-..X..-", "hat": "x.x.x.x.x.x.x.x."},
    "funky": {"kick": "X..x..x...x..x..", "snare": "....X..-.-..X...", "hat": "xxxxxxxxxxxxxxxx"},
    "hiphop": {"kick": "X......x..X.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    "hiphop_sixteenths": {"kick": "X..x......X..x..", "snare": "....X.......X...", "hat": "x-x-x-x-x-x-x-x-"},
    "three_kick_break": {"kick": "X.....X...X.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    "late_snare_break": {"kick": "X..X......X.....", "snare": "....X.......X.x.", "hat": "xxxxxxxxxxxxxxxx"},
    "electro": {"kick": "X..x..X...X..x..", "clap": "....X.......X...", "hat": "x.xxx.xxx.xxx.xx"},
    "backbeat_only": {"kick": "X.......X.......", "snare": "....X.......X..."},
    "two_bar_break": {
        "kick": "X.........X.....X.x.......X.....",
        "snare": "....X.......X.......X..-....X.-.",
        "hat": "x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.",
    },
}
