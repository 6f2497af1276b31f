-- The migrations from here on belong to release 2: a program of release 1 works on this schema, one of release 2 needs it.
INSERT INTO ledger.releases (release) VALUES (2);
