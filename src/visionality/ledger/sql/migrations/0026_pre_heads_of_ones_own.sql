-- Who reads for one organisation sees the last numbers of its logs, and of no other's.
--
-- Why: since 0020 vis_reader may read vis.stream_heads, whose policy for it was made when it could not: with one organisation set it saw
-- how many acts and keys every other one has. What it locks: vis.stream_heads, for a moment. Old code: it reads its own
-- organisation's alone.

alter policy all_read on vis.stream_heads to vis_writer, vis_sealer, vis_auditor;
create policy own_read on vis.stream_heads for select to vis_reader
  using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
