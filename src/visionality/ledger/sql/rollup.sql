-- How the daily sums are kept, for psycopg. Run as vis_sealer. Braces take a fragment of sums.sql or work.sql.

-- name: means
-- The sums of some thousand rows by every dimension fit in memory.
select set_config('work_mem', '64MB', true) as work_mem, set_config('jit', 'off', true) as jit;

-- name: lead
-- Whether nobody else adds rows to the sums now, for as long as this transaction lasts. Two that did would lock sums in two
-- orders; a lock of the cursors would not keep the second from writers that the first has not met.
select pg_try_advisory_xact_lock(hashtextextended('visionality rollup', 0));

-- name: wait_to_lead
select pg_advisory_xact_lock(hashtextextended('visionality rollup', 0));

-- name: ready
-- Of each writer the rows that come next without a gap, at most so many, and the first number behind a gap. A writer that was
-- silent for an hour is looked at when `all` are.
select w.writer_no, coalesce(c.wseq, 0) as after, n.upto, n.beyond
  from vis.writers w
  left join vis.rollup_cursor c using (writer_no)
 cross join lateral (
   select max(wseq) filter (where wseq = coalesce(c.wseq, 0) + place) as upto,
          min(wseq) filter (where wseq > coalesce(c.wseq, 0) + place) as beyond
     from (select wseq, dense_rank() over (order by wseq) as place
             from (select wseq from vis.request_logs l
                    where l.writer_no = w.writer_no and l.wseq > coalesce(c.wseq, 0) and l.wseq < coalesce(c.wseq, 0) + 1000000000000
                    order by wseq limit %(at_once)s) few) numbered) n
 where (%(all)s or c.writer_no is null or w.heartbeat_at > now() - interval '1 hour') and (n.upto is not null or n.beyond is not null)
 order by w.writer_no;

-- name: due
-- The rows that are added now.
(select l.* from unnest(%(writers)s::int[], %(after)s::bigint[], %(upto)s::bigint[]) b(writer_no, after, upto)
  cross join lateral (
    select * from vis.request_logs where writer_no = b.writer_no and wseq > b.after and wseq <= b.upto offset 0) l)

-- name: add
insert into vis.spend_day as d (
  org_id, dim, day, digest, currency, source, key, key2, calls, asked, refused, failed, cost_nusd, billed_nusd, final_nusd, unpriced,
  unattributed, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, last_at)
select org_id, dim, day, sha256(convert_to(json_build_array(key, key2)::text, 'UTF8')), currency, source, key, key2, {measures}
  from ({counted}) c group by org_id, dim, day, currency, source, key, key2
on conflict (org_id, dim, day, digest, currency, source) do update set
  calls = d.calls + excluded.calls, asked = d.asked + excluded.asked, refused = d.refused + excluded.refused,
  failed = d.failed + excluded.failed, cost_nusd = d.cost_nusd + excluded.cost_nusd, billed_nusd = d.billed_nusd + excluded.billed_nusd,
  final_nusd = d.final_nusd + excluded.final_nusd, unpriced = d.unpriced + excluded.unpriced,
  unattributed = d.unattributed + excluded.unattributed, input_tokens = d.input_tokens + excluded.input_tokens,
  cache_read_tokens = d.cache_read_tokens + excluded.cache_read_tokens,
  cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
  reasoning_tokens = d.reasoning_tokens + excluded.reasoning_tokens, last_at = greatest(d.last_at, excluded.last_at);

-- name: move
-- It says which dimensions were added to: code that knows others than the sums have cannot move a cursor.
insert into vis.rollup_cursor (writer_no, wseq, dims) select *, 2 from unnest(%(writers)s::int[], %(upto)s::bigint[])
on conflict (writer_no) do update set wseq = excluded.wseq;

-- name: forget
with sums as (delete from vis.spend_day), work as (delete from vis.work_day), moved as (delete from vis.moved_day)
delete from vis.rollup_cursor;

-- name: rolled
-- The rows of a range that are in the sums.
(select l.* from vis.request_logs l join vis.rollup_cursor c on c.writer_no = l.writer_no and l.wseq <= c.wseq
  where l.created_at >= %(start)s and l.created_at < %(end)s)

-- name: one_moment
set transaction isolation level repeatable read read only;

-- name: differences
-- Where the sums of a day are not those of its rows, in one moment of both.
select org_id, day, dim, key, key2, currency, source, coalesce(s.cost_nusd, 0) as summed_nusd, coalesce(l.cost_nusd, 0) as ledger_nusd
  from (select org_id, day, dim, key, key2, currency, source, {measures} from ({counted}) c group by 1, 2, 3, 4, 5, 6, 7) l
  full join (select * from vis.spend_day where day = %(day)s) s using (org_id, day, dim, key, key2, currency, source)
 where (l.calls, l.asked, l.refused, l.failed, l.cost_nusd, l.billed_nusd, l.final_nusd, l.unpriced, l.unattributed, l.input_tokens,
        l.cache_read_tokens, l.cache_write_tokens, l.output_tokens, l.reasoning_tokens, l.last_at) is distinct from
       (s.calls, s.asked, s.refused, s.failed, s.cost_nusd, s.billed_nusd, s.final_nusd, s.unpriced, s.unattributed, s.input_tokens,
        s.cache_read_tokens, s.cache_write_tokens, s.output_tokens, s.reasoning_tokens, s.last_at)
 order by 1, 2, 3, 4, 5, 6, 7;
