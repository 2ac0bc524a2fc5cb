-- What stands behind the last seal, for psycopg as vis_sealer. Braces take a table, {more} the columns that only ledger rows have.

-- name: waiting
-- Writers with a row behind their cursor: its number and time. One that was silent for an hour is looked at when `all` are.
select w.writer_no, coalesce(c.wseq, 0) as after, n.wseq, n.created_at, n.org_id
  from vis.writers w
  left join vis.seal_cursors c on c.log = %(name)s and c.writer_no = w.writer_no
 cross join lateral (
   select l.wseq, l.created_at, l.org_id from {log} l
    where l.writer_no = w.writer_no and l.wseq > coalesce(c.wseq, 0) and l.wseq < coalesce(c.wseq, 0) + 1000000000000
    order by l.wseq limit 1) n
 where %(all)s or w.heartbeat_at > now() - interval '1 hour'
 order by n.created_at, w.writer_no;

-- name: rows
select b.writer_no, r.* from unnest(%(writers)s::int[], %(after)s::bigint[]) b(writer_no, after)
 cross join lateral (
   select l.wseq, l.org_id, uuid_send(l.id), l.created_at, l.leaf_hash{more} from {log} l
    where l.writer_no = b.writer_no and l.wseq > b.after and l.wseq < b.after + 1000000000000
    order by l.wseq limit %(share)s) r
 order by b.writer_no, r.wseq;

-- name: behind
-- Organisations whose log of events has numbers that are not sealed.
select h.org_id, h.log, coalesce(s.tree_size, 0), h.last_seq from vis.stream_heads h
  left join lateral (select tree_size from vis.seals where org_id = h.org_id and log = h.log order by seal_no desc limit 1) s on true
 where h.log = any(%(logs)s) and h.last_seq > coalesce(s.tree_size, 0)
 order by h.log, h.org_id;

-- name: events
select r.seq, b.org_id, uuid_send(r.id), r.created_at, r.leaf_hash
  from unnest(%(orgs)s::uuid[], %(after)s::bigint[], %(upto)s::bigint[]) b(org_id, after, upto)
 cross join lateral (
   select l.seq, l.id, l.created_at, l.leaf_hash from {log} l
    where l.org_id = b.org_id and l.seq > b.after and l.seq <= b.upto order by l.seq limit %(share)s) r
 order by b.org_id, r.seq;
