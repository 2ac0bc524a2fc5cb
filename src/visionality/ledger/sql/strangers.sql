-- What came with a credential that is nobody's. `count` for asyncpg as vis_writer, `seen` for psycopg as vis_auditor.

-- name: count
insert into vis.strangers as s (minute, writer_no, code, times, example) values ($1, $2, $3, $4, $5::jsonb)
on conflict (minute, writer_no, code) do update set times = s.times + excluded.times;

-- name: seen
-- By minute and code over all gateways, the newest first.
select minute, code, sum(times)::bigint as times, (array_agg(example order by writer_no))[1] as example
  from vis.strangers where minute >= %(since)s group by minute, code order by minute desc, code;
