-- An index over the life of each key.
--
-- Why: a person's page, the receipt of an offboarding and the list of leavers ask for what was done with some keys and people
-- (H3), and a gateway that mints a token for each end customer leaves many thousand events between two of those. Without it all
-- events of the organisation since the oldest of those keys are read. What it locks: vis.key_events against writing while the
-- index is made, a second for a million events; minting and issuing wait for so long. Old code: has no need of it.

create index key_events_key on vis.key_events (org_id, key_id, created_at);
