r"""The search of players: folding, and triggers that keep its tables whoever writes to `players`.

Nothing here leans on the server's locale: `lower()` and `[[:alnum:]]` mean ASCII only in a database
with the C locale and give a dotless i in a Turkish one, so letters and ranges are spelt out.
`core/names.py` folds what people type in the same way; a test compares the two.
"""

from migrations.verbatim import run_verbatim

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# First and last capital, step, and how far away the small letter is.
CAPITALS = (
    (0x0391, 0x03A9, 1, 32),  # Greek
    (0x0400, 0x040F, 1, 80),  # Cyrillic
    (0x0410, 0x042F, 1, 32),
    (0x048A, 0x04BE, 2, 1),
    (0x04D0, 0x052E, 2, 1),
    (0x0531, 0x0556, 1, 48),  # Armenian
)
# Letters that have no decomposition, beside what people without that key type.
LETTERS = "ØøŁłĐđÐðıĦħŦŧŊŋƏəẞÆŒÞς"
PLAIN_LETTERS = "oollddddihhttnnəəßæœþσ"  # noqa: RUF001 - a Greek letter is meant
# It would decompose into a space and a mark, and people type it for an apostrophe.
ACUTE_AS_APOSTROPHE = "\N{ACUTE ACCENT}"
SPELT_OUT = (("ß", "ss"), ("æ", "ae"), ("œ", "oe"), ("þ", "th"))

# Combining marks, apostrophes, full stops and invisible joiners: what stands around them stays one word.
DROPPED = (
    r"'.`\u00AD\u02B9-\u02BD\u02C8\u0300-\u036F\u0483-\u0489\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7"
    r"\u0610-\u061A\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E4\u06E7\u06E8\u06EA-\u06ED"
    r"\u1AB0-\u1AFF\u1DC0-\u1DFF\u200B-\u200F\u2018-\u201B\u2032\u2060\u20D0-\u20FF\u3099\u309A"
    r"\uFE00-\uFE0F\uFE20-\uFE2F\uFEFF\U000E0100-\U000E01EF"
)
# Punctuation, symbols, emoji, spaces, control and private characters: what stands around them is two words.
SEPARATORS = (
    r"\u0001-\u002F\u003A-\u0060\u007B-\u00BF\u00D7\u00F7\u02C2-\u02DF\u02E5-\u02FF\u037E\u0387\u03F6\u0482"
    r"\u055A-\u055F\u0589-\u058F\u05BE\u05C0\u05C3\u05C6\u05F3\u05F4\u0600-\u060F\u061B-\u061F\u066A-\u066D"
    r"\u06D4\u06DD\u06DE\u06E9\u0964\u0965\u0E3F\u0E4F\u0E5A\u0E5B\u10FB\u1360-\u1368\u2000-\u206F\u20A0-\u20CF"
    r"\u2100-\u214F\u2190-\u2BFF\u2E00-\u2E7F\u2FF0-\u3004\u3007-\u3020\u3030\u303D-\u303F\u30A0\u30FB"
    r"\uE000-\uF8FF\uFD3E\uFD3F\uFFF0-\uFFFF\U0001F000-\U0001FAFF\U000E0000-\U0010FFFF"
)


def _capitals() -> tuple[str, str]:
    codes = [(code, code + away) for first, last, step, away in CAPITALS for code in range(first, last + 1, step)]
    return "".join(chr(capital) for capital, _ in codes), "".join(chr(small) for _, small in codes)


def _fold_function() -> str:
    capitals, small = _capitals()
    folded = f"""regexp_replace(
        translate(
            lower(normalize(replace(value, '{ACUTE_AS_APOSTROPHE}', ''), NFKD) collate "C"),
            '{capitals}{LETTERS}', '{small}{PLAIN_LETTERS}'
        ),
        '[{DROPPED.replace("'", "''")}]+', '', 'g'
    )"""
    for letter, spelling in SPELT_OUT:
        folded = f"replace({folded}, '{letter}', '{spelling}')"
    return f"""
        create function sideline_fold(value text) returns text
        language sql immutable strict parallel safe as $$
            select btrim(case
                when value ~ '^[\\u0001-\\u007E]*$' then
                    regexp_replace(
                        regexp_replace(lower(value collate "C"), '[''.`]+', '', 'g'), '[^a-z0-9]+', ' ', 'g'
                    )
                else regexp_replace({folded}, '[{SEPARATORS}]+', ' ', 'g')
            end)
        $$;
    """


# Each part of a name counts, and so does the whole: "De la Cruz" is found as "delacruz". The bounds keep a word,
# however long its name is and decomposes, under what an index entry may hold.
WORDS_FUNCTION = """
create function sideline_name_words(first_name text, last_name text) returns text[]
language sql immutable parallel safe as $$
    select array_remove(
        string_to_array(concat_ws(' ', first, last, replace(first, ' ', ''), replace(last, ' ', '')), ' '), ''
    )
    from (
        select left(sideline_fold(left(first_name, 200)), 200) as first,
               left(sideline_fold(left(last_name, 200)), 200) as last
    ) as folded
$$;
"""

# One pass over as many rows as were written. New words are written under a lock of the club's: two imports that meet
# the same new words in a different order would otherwise wait for each other for ever.
TRIGGERS = """
create function sideline_index_players() returns trigger language plpgsql as $$
declare
    player_ids bigint[];
    tenant_ids bigint[];
    words text[];
begin
    if tg_op = 'INSERT' then
        player_ids := array(select id from written);
    else
        player_ids := array(
            select written.id from written join replaced on replaced.id = written.id
            where (written.first_name, written.last_name, written.tenant_id)
                is distinct from (replaced.first_name, replaced.last_name, replaced.tenant_id)
        );
    end if;
    if player_ids = '{}' then
        return null;
    end if;

    with indexed as (
        insert into player_search (player_id, tenant_id, document)
        select id, tenant_id, array_to_tsvector(sideline_name_words(first_name, last_name))
        from players where id = any (player_ids) order by id
        on conflict (player_id) do update set tenant_id = excluded.tenant_id, document = excluded.document
        returning tenant_id, document
    ), found as (
        select distinct tenant_id, word from indexed, unnest(tsvector_to_array(document)) as word
    )
    select array_agg(tenant_id), array_agg(word) into tenant_ids, words from found
    where not exists (
        select from name_words where name_words.tenant_id = found.tenant_id and name_words.word = found.word
    );
    if words is null then
        return null;
    end if;

    perform pg_advisory_xact_lock(hashtextextended('sideline name words', club))
    from (select distinct club from unnest(tenant_ids) as club order by club) as clubs;
    insert into name_words (tenant_id, word)
    select tenant_id, word from unnest(tenant_ids, words) as found (tenant_id, word)
    where not exists (
        select from name_words where name_words.tenant_id = found.tenant_id and name_words.word = found.word
    )
    order by tenant_id, word
    on conflict do nothing;
    return null;
end $$;

create trigger index_new_players after insert on players referencing new table as written
    for each statement execute function sideline_index_players();
create trigger index_renamed_players after update on players referencing old table as replaced new table as written
    for each statement execute function sideline_index_players();
"""

# Without it, what was imported last would wait in a list that every search reads through until the next vacuum.
INDEX_AT_ONCE = "alter index ix_player_search_document set (fastupdate = off);"

BACKFILL = """
insert into player_search (player_id, tenant_id, document)
select id, tenant_id, array_to_tsvector(sideline_name_words(first_name, last_name)) from players
on conflict (player_id) do update set tenant_id = excluded.tenant_id, document = excluded.document;
insert into name_words (tenant_id, word)
select distinct tenant_id, word from player_search, unnest(tsvector_to_array(document)) as word
on conflict do nothing;
"""

DROP = """
drop trigger index_renamed_players on players;
drop trigger index_new_players on players;
drop function sideline_index_players();
drop function sideline_name_words(text, text);
drop function sideline_fold(text);
alter index ix_player_search_document reset (fastupdate);
delete from name_words;
delete from player_search;
"""


def upgrade() -> None:
    run_verbatim(_fold_function() + WORDS_FUNCTION + TRIGGERS + INDEX_AT_ONCE + BACKFILL)


def downgrade() -> None:
    run_verbatim(DROP)
