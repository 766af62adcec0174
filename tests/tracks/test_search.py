"""Search through HTTP. The same table of cases runs on SQLite and on PostgreSQL: so they are made to agree."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.db.database import Dialect
from server.tracks.query import FIELDS, MAX_TERMS, parse_query
from server.tracks.search import COUNTED, FEW, RANKED
from tests.support.application import Running
from tests.tracks.shelf import Shelf, named

_LIBRARY: list[dict[str, Any]] = [
    {"title": "Jóga", "artist": "Björk", "album": "Homogenic", "genre": "Electronica", "label": "One Little Indian"},
    {"title": "Highway to Hell", "artist": "AC/DC", "genre": "Rock"},
    {"title": "Paper Planes", "artist": "M.I.A.", "album": "Kala"},
    {"title": "99 Problems", "artist": "Jay-Z", "genre": "Hip-Hop"},
    {"title": "Empire State", "artist": "Jay Z", "remixer": "Broken Dub"},
    {"title": "Don't Stop 'til You Get Enough", "artist": "Michael Jackson", "genre": "Disco"},
    {"title": "Nightfall", "artist": "Blind", "comment": "warm-up tool, deep house"},
    {"title": "Night", "artist": "Other"},
    {"title": "One Night in Bangkok", "artist": "Murray Head"},
    {"title": "Deep House Anthem", "artist": "Somebody", "genre": "Deep House"},
    {"title": "House Deep", "artist": "Somebody Else", "album_artist": "Various Artists"},
    {"title": "戦場のメリークリスマス", "artist": "坂本龍一"},
    {"title": "エレクトロニカ", "artist": "電気グルーヴ"},
    {"title": "봄날", "artist": "방탄소년단"},
    {"title": "Группа крови", "artist": "Кино"},
    {"title": "สวัสดีชาวโลก", "artist": "ไทยเท"},
    {"title": "حبيبي يا نور العين", "artist": "عمرو دياب"},
    {"title": "יש בי אהבה", "artist": "אריק איינשטיין"},
    {"title": "Ｆｕｌｌ Ｗｉｄｔｈ", "artist": "ｶﾞｰﾙ"},
    {"title": "Straße", "artist": "Mötley Crüe", "path": "Straße/02_Under_Score-Name.mp3"},
    {"title": "R&B Mood", "artist": "Ærø", "genre": "R&B"},
    {"title": "Ελλάδα ΟΔΟΣ", "artist": "Νίκος"},
    {"title": "Σκόνη", "artist": "مُحَمَّد"},
]


@pytest.fixture
async def library(shelf: Shelf) -> Shelf:
    await shelf.put(*({"path": f"{number}.mp3", **spec} for number, spec in enumerate(_LIBRARY)))
    return shelf


_CASES: list[tuple[str, set[str]]] = [
    # accents, case, width and punctuation don't matter
    ("bjork", {"Jóga"}),
    ("BJÖRK JOGA", {"Jóga"}),
    ("joga homogenic electronica", {"Jóga"}),
    ("acdc", {"Highway to Hell"}),
    ("AC/DC", {"Highway to Hell"}),
    ("ac dc", {"Highway to Hell"}),
    ("dc", {"Highway to Hell"}),
    ("mia", {"Paper Planes"}),
    ("m.i.a.", {"Paper Planes"}),
    ("jay z", {"99 Problems", "Empire State"}),
    ("jay-z", {"99 Problems", "Empire State"}),
    ("Jay‐Z", {"99 Problems", "Empire State"}),
    ("jayz", {"99 Problems"}),
    ("hip hop", {"99 Problems"}),
    ("hiphop", {"99 Problems"}),
    ("dont stop", {"Don't Stop 'til You Get Enough"}),
    ("don’t stop", {"Don't Stop 'til You Get Enough"}),
    ("strasse", {"Straße"}),
    ("motley crue", {"Straße"}),
    ("aero", {"R&B Mood"}),
    ("r&b", {"R&B Mood"}),
    ("full width", {"Ｆｕｌｌ Ｗｉｄｔｈ"}),
    ("ガール", {"Ｆｕｌｌ Ｗｉｄｔｈ"}),
    ("under score", {"Straße"}),
    ("score-name", {"Straße"}),
    ("οδοσ", {"Ελλάδα ΟΔΟΣ"}),
    ("ελλαδα", {"Ελλάδα ΟΔΟΣ"}),
    ("محمد", {"Σκόνη"}),
    # the last word as one types, the others whole
    ("night", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("night ", {"Night", "One Night in Bangkok", "Nightfall"}),
    ("nigh fall", {"Nightfall"}),
    ("one ni", {"One Night in Bangkok"}),
    # phrases
    ('"deep house"', {"Deep House Anthem", "Nightfall"}),
    ('"house deep"', {"House Deep"}),
    ('"deep hou', {"Deep House Anthem", "Nightfall"}),
    ("deep house", {"Deep House Anthem", "Nightfall", "House Deep"}),
    ('"anthem somebody"', set()),
    ('"jay-z"', {"99 Problems", "Empire State"}),
    # without
    ("somebody -anthem", {"House Deep"}),
    ('deep -"deep house"', {"House Deep"}),
    ("somebody -els", {"Deep House Anthem"}),
    ("night -fall", {"Night", "One Night in Bangkok"}),
    ("jay -problems", {"Empire State"}),
    # in one field
    ("artist:bjork", {"Jóga"}),
    ("title:bjork", set()),
    ("Artist:ac/dc", {"Highway to Hell"}),
    ("genre:deep", {"Deep House Anthem"}),
    ('genre:"deep house"', {"Deep House Anthem"}),
    ("genre:ouse", set()),
    ("title:ouse", {"Deep House Anthem", "House Deep"}),
    ("deep -genre:deep", {"Nightfall", "House Deep"}),
    ("album_artist:various", {"House Deep"}),
    ("remixer:broken", {"Empire State"}),
    ("label:little", {"Jóga"}),
    ("comment:warm", {"Nightfall"}),
    ("comment:warmup", {"Nightfall"}),
    ("file_name:score", {"Straße"}),
    ("nofield:night", set()),
    # scripts without spaces, and others
    ("坂", {"戦場のメリークリスマス"}),
    ("本", {"戦場のメリークリスマス"}),
    ("坂本", {"戦場のメリークリスマス"}),
    ("本坂", set()),
    ("本龍", {"戦場のメリークリスマス"}),
    ("メリー", {"戦場のメリークリスマス"}),
    ("坂本 クリスマス", {"戦場のメリークリスマス"}),
    ("クトロ", {"エレクトロニカ"}),
    ("방탄", {"봄날"}),
    ("소년", {"봄날"}),
    ("단", {"봄날"}),
    ("봄", {"봄날"}),
    ("крови", {"Группа крови"}),
    ("КИНО груп", {"Группа крови"}),
    ("สวัส", {"สวัสดีชาวโลก"}),
    ("ชาวโลก", {"สวัสดีชาวโลก"}),
    ("نور", {"حبيبي يا نور العين"}),
    ("عمرو", {"حبيبي يا نور العين"}),
    ("אהבה", {"יש בי אהבה"}),
    # fragments inside a word
    ("ightf", {"Nightfall"}),
    ("ackso", {"Don't Stop 'til You Get Enough"}),
    ("angkok urray", {"One Night in Bangkok"}),
    ("omogen", {"Jóga"}),
    # what the engines' own languages mean something by is text
    ("AND", set()),
    ("night AND", set()),
    ("NOT night", set()),
    ("night*", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("(night)", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("night)", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("^night", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("{title}: night", set()),
    ("n'ight' & | !", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("%", set()),
    ("_", set()),
    ("", set()),
    ("   ", set()),
    ("-", set()),
    ('"', set()),
    ('""', set()),
    (":", set()),
    ("title:", set()),
    ("a\0b", set()),
    ("night\0", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("x" * 5000, set()),
    ("night " * 300, {"Night", "One Night in Bangkok", "Nightfall"}),
    ('night "' * 50, {"Night", "One Night in Bangkok", "Nightfall"}),
    ("-zzz night", {"Nightfall", "Night", "One Night in Bangkok"}),
    ("🔥", set()),
]


async def test_search_finds_what_the_contract_says(library: Shelf) -> None:
    found = {}
    for q, _ in _CASES:
        answer = await library.mismo.client.get("/api/tracks/search", q=q, limit=1000)
        found[q] = {track["title"] for track in answer["data"]}
        assert answer["pagination"]["total"] == len(answer["data"]), q
        assert answer["is_total_exact"] is True
    assert found == dict(_CASES)


async def test_each_of_several_artists_and_genres_is_found(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "both", "artists": ("Alpha", "Bëta/Gamma"), "genres": ("House", "Dub Techno")},
        {"title": "one", "artist": "Alpha", "genre": "House", "remixer": "Dub Beta"},
    )
    searched = {
        "beta": {"both", "one"}, "betagamma": {"both"}, "gam": {"both"}, '"dub techno"': {"both"},
        "alpha dub": {"both", "one"}, "artist:alpha": {"both", "one"}, "artist:beta": {"both"},
        "artist:dub": set(), "artist:house": set(), "genre:tech": {"both"}, 'genre:"dub techno"': {"both"},
        "genre:beta": set(), "alpha -techno": {"one"}, "alpha -genre:dub": {"one"}, "-genre:dub": {"one"},
        "alpha -artist:dub": {"both", "one"}, "alpha -dub": set(),
    }  # fmt: skip
    assert {q: set(await shelf.search(q)) for q in searched} == searched
    await shelf.patch("both", artist="Other", genre="Rock")
    assert await shelf.search("gamma") == await shelf.search("techno") == []
    assert await shelf.search("artist:other") == ["both"]


async def test_names_of_symbols_only_are_found_by_their_symbols(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "Heart of Hearts", "artist": "!!!"}, {"title": "†††", "artist": "Crosses"},
        {"title": "🔥", "album": "!!!"}, {"title": "Hey!!!", "artist": "Someone"}, {"title": "??", "artist": "%_"},
    )  # fmt: skip
    searched = {
        "!!!": {"Heart of Hearts", "🔥"}, "!": {"Heart of Hearts", "🔥"}, '"!!!"': {"Heart of Hearts", "🔥"},
        "artist:!!!": {"Heart of Hearts"}, "title:!!!": set(), "file_name:!!!": set(), "†": {"†††"}, "🔥": {"🔥"},
        "🔥 !!!": {"🔥"}, "🔥 †": set(), "%": {"??"}, "_": {"??"}, "?": {"??"}, "†\0": {"†††"}, "\0": set(),
        "\\": set(), '"': set(), " ": set(), "hey!!!": {"Hey!!!"}, "!!! hearts": {"Heart of Hearts"},
    }  # fmt: skip
    assert {q: set(await shelf.search(q)) for q in searched} == searched
    assert await shelf.search("!", limit=1, page=2) == ["🔥"]
    assert await shelf.search("!", artist="!!!") == ["Heart of Hearts"]


async def test_fragments_bring_nothing_back_that_is_unwanted(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "alphabet", "genre": "Techno", "label": "Warp"}, {"title": "alphabetical", "comment": "x"},
    )  # fmt: skip
    for q in ("alpha -techno", "lphabe -techno", "lphabe -warp", "lphabe -label:warp", "lphabe -genre:techno"):
        assert await shelf.search(q) == ["alphabetical"], q


async def test_without_only_is_the_rest_of_the_library(library: Shelf) -> None:
    rest = {spec["title"] for spec in _LIBRARY} - {"Night", "One Night in Bangkok", "Nightfall"}
    assert set(await library.search("-night", limit=1000)) == rest


async def test_best_comes_first(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "b side", "comment": "shadow"},
        {"title": "c", "album": "Shadow"},
        {"title": "Long Shadow"},
        {"title": "Shadow Play"},
        {"title": "Shadow"},
        {"title": "overshadowing"},
    )
    found = await shelf.search("shadow")
    assert found == ["Shadow", "Shadow Play", "Long Shadow", "c", "b side", "overshadowing"]


async def test_exact_title_is_first_however_many_older_tracks_match(shelf: Shelf) -> None:
    await shelf.put(*named([f"wave of number {number}" for number in range(RANKED + 50)]), {"title": "Wave"})
    assert (await shelf.search("wave", limit=3))[0] == "Wave"
    assert (await shelf.search("wave", limit=3, bpm_max=1000)) == []
    await shelf.patch("Wave", bpm=120)
    assert (await shelf.search("wave", limit=3, bpm_max=1000)) == ["Wave"]


async def test_pages_of_hits_neither_skip_nor_repeat(shelf: Shelf) -> None:
    count = RANKED + 150
    random = Random(3)
    words = ["wave", "waves", "a wave", "wave x", "long wave"]
    await shelf.put(*({"title": f"{random.choice(words)} {number}"} for number in range(count)))
    await shelf.put(*named([f"microwaves {number}" for number in range(20)]))
    pages = [await shelf.search("wave", limit=40, page=page) for page in range(1, 13)]
    found = [title for page in pages for title in page]
    assert len(found) == len(set(found)) == count
    assert await shelf.search("wave", limit=1000) == found


async def test_fragments_follow_the_words_page_by_page(shelf: Shelf) -> None:
    await shelf.put(*named([f"wave {number}" for number in range(FEW - 1)]))
    await shelf.put(*named([f"microwave {number}" for number in range(30)]))
    found: list[str] = []
    for page in range(1, 10):
        answer = await shelf.mismo.client.get("/api/tracks/search", q="wave", limit=7, page=page)
        assert answer["pagination"]["total"] == FEW + 29
        found += [track["title"] for track in answer["data"]]
    assert len(found) == len(set(found)) == FEW + 29
    assert all("microwave" in title for title in found[FEW - 1 :])


async def test_answer_says_when_it_stopped_counting(shelf: Shelf) -> None:
    for start in range(0, COUNTED + 1, 1000):
        await shelf.put(*named([f"wave {number}" for number in range(start, min(start + 1000, COUNTED + 1))]))
    answer = await shelf.mismo.client.get("/api/tracks/search", q="wave", limit=1)
    assert (answer["pagination"]["total"], answer["is_total_exact"]) == (COUNTED, False)
    await shelf.mismo.client.delete(f"/api/tracks/{shelf.ids['wave 7']}")
    answer = await shelf.mismo.client.get("/api/tracks/search", q="wave", limit=1)
    assert (answer["pagination"]["total"], answer["is_total_exact"]) == (COUNTED, True)


_PIECES = st.sampled_from(
    [
        *"\"'*(){}[]^:-+|&!\\%_\0 xé坂ﷺİ𞤀\u0301\u200d",
        *("<->", "AND", "OR", "NOT", "NEAR(", "title", "artist:", "-genre:", "night", "1e5"),
    ]
)
_TYPED = st.lists(st.one_of(_PIECES, st.text(max_size=4)), max_size=20).map("".join)


async def test_nothing_typed_fails(library: Shelf) -> None:
    """Hypothesis makes the texts; the answers come from one running server."""
    typed: list[str] = []

    @settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(_TYPED)
    def collect(text: str) -> None:
        typed.append(text.encode("utf-8", "replace").decode())

    collect()
    for text in typed:
        answer = await library.mismo.client.get("/api/tracks/search", q=text, limit=5)
        assert len(answer["data"]) <= answer["pagination"]["total"], text


@given(_TYPED)
def test_any_text_is_some_terms(text: str) -> None:
    terms = parse_query(text)
    assert len(terms) <= MAX_TERMS
    for term in terms:
        assert term.field is None or term.field in FIELDS
        for spelling in term.spellings:
            assert spelling
            assert all(word.replace("\u3099", "").replace("\u309a", "") for word in spelling)


async def test_index_follows_edits_deletes_and_rereading(mismo: Running) -> None:
    """After random changes the index answers what the rows say, and SQLite finds it sound."""
    shelf = Shelf(mismo)
    await shelf.open()
    random = Random(11)
    words = ["night", "day", "坂本", "AC/DC", "Jay-Z", "Björk", "deep house", "봄날"]

    def text() -> str:
        return " ".join(random.sample(words, 2))

    await shelf.put(*({"title": f"{text()} {number}", "artist": text()} for number in range(60)))
    alive = dict(shelf.ids)
    for _ in range(120):
        title = random.choice(sorted(alive))
        change = random.random()
        if change < 0.2:
            await mismo.client.delete(f"/api/tracks/{alive.pop(title)}")
        elif change < 0.6:
            name = random.choice(["title", "artist", "album", "genre", "comment", "label"])
            await mismo.client.patch(f"/api/tracks/{alive[title]}", {name: random.choice([text(), None])})
        elif change < 0.8:
            async with mismo.app.uow() as tx:
                (row,) = await mismo.app.tracks.by_ids(tx, [alive[title]])
                await mismo.app.tracks.take_in(tx, [(row, {"title": text(), "album": text(), "artist": None})])
        else:
            before = set(shelf.ids.values())
            await shelf.put({"title": f"{text()} {random.random()}", "artist": text()})
            alive |= {title: track_id for title, track_id in shelf.ids.items() if track_id not in before}
    tracks = (await mismo.client.get("/api/tracks", limit=1000))["data"]
    assert len(tracks) == len(alive)
    columns = ("title", "artist", "album", "genre", "comment", "label")
    for word in words:
        expected = {track["id"] for track in tracks if any(word in (track[name] or "") for name in columns)}
        answer = await mismo.client.get("/api/tracks/search", q=f'"{word}"', limit=1000)
        assert {track["id"] for track in answer["data"]} == expected, word
    if mismo.app.database.dialect is Dialect.SQLITE:
        async with mismo.app.uow() as tx:
            for table in ("track_words", "track_fragments"):
                await tx.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
