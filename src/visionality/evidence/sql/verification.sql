-- The ledger read anew and held against what was sealed of it, for psycopg as vis_auditor. Braces take columns, tables and conditions.

-- name: stands
-- How far each log of these organisations is sealed.
select s.org_id, s.log, s.seal_no, s.tree_size from unnest(%(orgs)s::uuid[]) w(org_id)
 cross join unnest(%(logs)s::text[]) g(log)
 cross join lateral (
   select org_id, log, seal_no, tree_size from vis.seals where org_id = w.org_id and log = g.log order by seal_no desc limit 1) s;

-- name: installation
select installation_id from vis.installation;

-- name: first
-- The last seal of a log before a moment.
select seal_no, tree_size, root, frontier from vis.seals
 where org_id = %(org_id)s and log = %(log)s and sealed_at < %(since)s order by sealed_at desc, seal_no desc limit 1;

-- name: mentioned
-- Up to which number each writer was sealed before a moment.
select e.key::int, max(e.value::bigint) from vis.seals s cross join lateral jsonb_each_text(s.cursors) e
 where s.org_id = any(%(orgs)s) and s.log = %(log)s and s.sealed_at < %(since)s group by 1;

-- name: before
-- The same of some writers before a seal of an organisation.
select w.writer_no, s.wseq from unnest(%(writers)s::text[]) n(name) cross join lateral (select n.name::int as writer_no) w
 cross join lateral (
   select (cursors ->> n.name)::bigint as wseq from vis.seals
    where org_id = %(org_id)s and log = %(log)s and seal_no < %(seal_no)s and cursors ? n.name order by seal_no desc limit 1) s;

-- name: seals
-- The next seals of a log.
select org_id, seal_no, sealed_at, first_index, tree_size, root, frontier, row_ids, leaf_hashes, cursors, note from vis.seals
 where org_id = %(org_id)s and log = %(log)s and seal_no > %(after)s and seal_no <= %(upto)s order by seal_no limit %(page)s;

-- name: one_seal
select org_id, seal_no, sealed_at, first_index, tree_size, root, frontier, row_ids, leaf_hashes, cursors, note from vis.seals
 where org_id = %(org_id)s and log = %(log)s and first_index <= %(index)s and %(index)s >= 0 order by first_index desc limit 1;

-- name: of_writers
-- Rows by their writers' numbers.
select {columns} from unnest(%(writers)s::int[], %(after)s::bigint[], %(upto)s::bigint[]) w(writer_no, after, upto)
  join {log} r on r.writer_no = w.writer_no and r.wseq > w.after and r.wseq <= w.upto
 where r.org_id = any(%(orgs)s);

-- name: of_orgs
-- Events by their organisations' numbers.
select {columns} from unnest(%(orgs)s::uuid[], %(after)s::bigint[], %(upto)s::bigint[]) w(org_id, after, upto)
  join {log} r on r.org_id = w.org_id and r.seq > w.after and r.seq <= w.upto;

-- name: of_ids
-- Rows by their ids, which hold the moment when they were made (UUIDv7).
select {columns} from {log} r where r.org_id = %(org_id)s and r.id = any(%(ids)s);

-- name: cursors
-- Up to which number each writer is sealed, and every writer that is known.
select w.writer_no, coalesce(c.wseq, 0) from vis.writers w
  left join vis.seal_cursors c on c.log = %(log)s and c.writer_no = w.writer_no;

-- name: stranger
-- The first row of a writer.
select org_id, id, wseq from {log} where writer_no = %(of)s order by wseq limit 1;

-- name: writers
-- How many numbers each writer has in a log, the least and the greatest, and how many of them differ.
select writer_no, count(*), min(wseq), max(wseq), count(distinct wseq) from {log} group by writer_no;

-- name: orgs
select org_id, count(*), min(seq), max(seq), count(distinct seq) from {log} where org_id = any(%(orgs)s) group by org_id;

-- name: missing
-- The first number of a range that a writer lacks. Nothing is counted up to a number, which may be anything.
select wseq + 1 from (
   select wseq, lead(wseq, 1, %(upto)s::bigint + 1) over (order by wseq) as behind from (
     select %(after)s::bigint as wseq union all
     select r.wseq from {log} r where r.writer_no = %(of)s and r.wseq > %(after)s and r.wseq <= %(upto)s) n) m
 where behind > wseq + 1 order by wseq limit 1;

-- name: missing_seq
select seq + 1 from (
   select seq, lead(seq, 1, %(upto)s::bigint + 1) over (order by seq) as behind from (
     select %(after)s::bigint as seq union all
     select r.seq from {log} r where r.org_id = %(of)s and r.seq > %(after)s and r.seq <= %(upto)s) n) m
 where behind > seq + 1 order by seq limit 1;

-- name: doubled
-- The first number that more than one row of a writer has.
select wseq from {log} where writer_no = %(of)s group by wseq having count(*) > 1 order by wseq limit 1;

-- name: doubled_seq
select seq from {log} where org_id = %(of)s group by seq having count(*) > 1 order by seq limit 1;

-- name: at
-- The rows that have a number of a writer.
select org_id, id from {log} where writer_no = %(of)s and wseq = %(number)s order by id;

-- name: at_seq
select org_id, id from {log} where org_id = %(of)s and seq = %(number)s order by id;

-- name: behind
-- Whose the first row behind a number of a writer is.
select org_id from {log} where writer_no = %(of)s and wseq > %(number)s order by wseq limit 1;

-- name: last_seq
select org_id, last_seq from vis.stream_heads where org_id = any(%(orgs)s) and log = %(log)s;

-- name: runs
-- What the seals of organisations numbered.
select r.org_id, r.seal_no, r.project_id, r.segment_no, r.first_seq, r.last_seq, r.row_ids
  from unnest(%(orgs)s::uuid[], %(first)s::bigint[], %(last)s::bigint[]) w(org_id, first, last)
  join vis.scope_runs r on r.org_id = w.org_id and r.seal_no between w.first and w.last
 order by r.org_id, r.seal_no, r.project_id, r.first_seq;

-- name: segments
-- Closed segments of an organisation in the order of their leaves.
select project_id, segment_no, id, leaf_index, closed_at, header, leaf_hash from vis.scope_segments
 where org_id = %(org_id)s and leaf_index >= %(start)s order by leaf_index;
