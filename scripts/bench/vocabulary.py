"""Names as a DJ's library holds them: a few words everywhere, a long tail of rare ones, several scripts."""

from __future__ import annotations

from random import Random

WORDS = """
night light shadow river signal echo fire stone velvet glass machine dream ocean static garden mirror concrete paper
winter summer golden silver broken electric hollow distant burning silent rolling deeper higher lost found motion
gravity orbit pulse circuit analog digital rhythm bass drum step rise fall drift wave storm thunder rain desert city
street alley tower bridge tunnel station platform border island harbour forest mountain valley sun moon star planet
nova comet dust ash smoke mist cloud sky blue red black white green violet amber coral ivory jade love heart soul
mind body skin bone blood breath voice word song story letter number seven eleven midnight dawn dusk morning evening
forever never always maybe yesterday tomorrow again away home alone together inside outside system method pattern
ritual temple church saint angel devil ghost spirit animal wolf tiger raven snake fox lion acid dub cut edit tool
loop jack groove funk swing shuffle break jam session theme part phase state zone area
""".split()  # noqa: SIM905 # a list of two hundred lines shows less
GIVEN = """
Alex Maya Jonas Priya Kenji Sofia Björn Émile Zoë Łukasz Søren Chloé Renée Jürgen Dmitri Олег Анна Ирина Νίκος Ελένη
太郎 由紀 小明 지민 أحمد ליאור Çağla Şebnem Đorđe Håkon Åsa Siân Niamh Óscar José André Marcus Nina Theo Carl Larry
""".split()  # noqa: SIM905 # a list of two hundred lines shows less
FAMILY = """
Müller Nakamura O'Brien García Silva Kowalski Ivanova Rossi Dubois Andersson Nguyễn Kim Öztürk Haddad Cohen Smith
Jones Carter May Chandler Heard Levan Canada Points Петров Παπαδόπουλος 田中 山本 王 이 Ærø Łoś Žak Čech Škoda Þór
""".split()  # noqa: SIM905 # a list of two hundred lines shows less
SYLLABLES = """
ba be bo da del do fa fen ga go ha is ka ko la lor ma men mi na nor ol pa ra ris sa sol ta tor va zen
""".split()  # noqa: SIM905 # a list of two hundred lines shows less
GENRES = (
    "House", "Tech House", "Deep House", "Techno", "Melodic Techno", "Minimal", "Drum & Bass", "Jungle", "Dubstep",
    "UK Garage", "Breaks", "Trance", "Psytrance", "Electro", "Ambient", "Downtempo", "Disco", "Nu Disco", "Funk",
    "Soul", "Hip-Hop", "R&B", "Reggae", "Dub", "Afrobeat", "Amapiano", "Latin", "Jazz", "Rock", "Indie", "Pop",
    "Classical",
    "Hardcore", "Hardstyle", "IDM", "Synthwave", "Électronique", "エレクトロニカ",
)  # fmt: skip
LABELS = ("Northern Line", "Glasshouse", "Kiosk", "Trésor Noir", "Życie", "Трип", "電音", "AC/DC Cuts", "R&S&T", "XLR")
VERSIONS = (
    "", "", "", "", " (Original Mix)", " (Extended Mix)", " (Dub Mix)", " (Radio Edit)", " (VIP)", " [Remastered]",
    " (feat. {})", " ({} Remix)", " ({} Remix)", " (Live)", " – Pt. 2", " (ライブ)", " 🔥",
)  # fmt: skip


def words(random: Random, fewest: int, most: int) -> str:
    """Some words of a title; one in eight is a rare one, made of syllables."""
    chosen = [
        random.choice(WORDS) if random.random() < 0.875 else rare_word(random)
        for _ in range(random.randint(fewest, most))
    ]
    return " ".join(chosen).title()


def rare_word(random: Random) -> str:
    return "".join(random.choice(SYLLABLES) for _ in range(random.randint(2, 4)))


def artist(random: Random) -> str:
    """A person, a band, a DJ, a pair, or a name with punctuation or another script in it."""
    kind = random.random()
    if kind < 0.45:
        return f"{random.choice(GIVEN)} {random.choice(FAMILY)}"
    if kind < 0.75:
        return words(random, 1, 2)
    if kind < 0.85:
        return f"DJ {rare_word(random).title()}"
    if kind < 0.92:
        return f"{words(random, 1, 1)} & {random.choice(GIVEN)}"
    if kind < 0.95:
        return f"{words(random, 1, 1)}/{words(random, 1, 1)}"
    return f"{random.choice(('坂本', '電気', 'Мумий', 'Ξένη', 'مزيكا', 'קצב', '방탄', 'ไทย'))} {words(random, 1, 1)}"


def title(random: Random, artists: list[str]) -> str:
    return words(random, 1, 4) + random.choice(VERSIONS).format(random.choice(artists))
