-- The same check of parents, for fewer looks: rows of one statement mostly name neighbours, which are read as one range of their
-- parents' key and compared by hash; looked up one by one they took a third as long as writing the rows. Values that repeat (a
-- catalog's version) are looked up once. Nothing that the release before reads or writes goes away, and whatever was refused is.
CREATE OR REPLACE FUNCTION ledger.refuse_orphans() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    reference text;
    own text;
    parent text;
    parents_key text;
    many bigint;
    lowest bigint;
    highest bigint;
    missing text;
BEGIN
    -- Each argument is: column, parent, the parent's key, separated by blanks.
    FOREACH reference IN ARRAY TG_ARGV LOOP
        own := split_part(reference, ' ', 1);
        parent := split_part(reference, ' ', 2);
        parents_key := split_part(reference, ' ', 3);
        many := 0;
        -- Only keys that are numbers have neighbours.
        IF parents_key = 'id' THEN
            EXECUTE format('SELECT count(*), min(m.%1$I), max(m.%1$I) FROM made m', own) INTO many, lowest, highest;
        END IF;
        IF many > 8 AND highest - lowest < 8 * many THEN
            -- NOT IN keeps the parents in a hash table; the range bounds how many there can be.
            EXECUTE format('SELECT m.%1$I::text FROM made m WHERE m.%1$I IS NOT NULL
                            AND m.%1$I NOT IN (SELECT p.%3$I FROM ledger.%2$I p WHERE p.%3$I BETWEEN %4$L AND %5$L) LIMIT 1',
                           own, parent, parents_key, lowest, highest) INTO missing;
        ELSE
            -- The subquery keeps this a lookup per value.
            EXECUTE format('SELECT m.%1$I::text FROM (SELECT DISTINCT %1$I FROM made OFFSET 0) m WHERE m.%1$I IS NOT NULL
                            AND (SELECT count(*) FROM ledger.%2$I p WHERE p.%3$I = m.%1$I) = 0 LIMIT 1',
                           own, parent, parents_key) INTO missing;
        END IF;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'ledger.%: % % is not in ledger.%', TG_TABLE_NAME, own, missing, parent
                USING ERRCODE = 'foreign_key_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
