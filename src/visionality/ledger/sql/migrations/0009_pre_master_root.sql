-- The root of an installation whose master key is in a key service, wrapped by that service.
--
-- Why: K6; the installation's own secrets must be the same at every start, and a key service gives out no key. What it
-- locks: vis.installation, one row, for a moment. Old code: runs on; it does not know the column.
alter table vis.installation add column wrapped_root bytea;
