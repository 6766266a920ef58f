-- outbox.lua: effects that are to leave: added with what they follow from, given out in order, one worker to a key.
--
-- The lease of a key's first entry is the hold on the key. What is given out of a key is always its beginning, and the
-- hold ends when that is done, put off, or left for longer than its lease.
local fields = require "stores.ledger.fields"
local unit = require "stores.ledger.unit"

local ENTRY = { key = "text", kind = "text", payload = "json", id = "uuid?" }
local LIMIT, LIMIT_MOST = 10, 1000

return function(sql)
  local ADD = sql [[INSERT INTO outbox (id, tenant_id, key, kind, payload, due_at, created_at)
    VALUES (?, ?, ?, ?, ?, {now}, {now}) RETURNING id]]
  local TAKE = sql [[WITH heads AS MATERIALIZED (SELECT o.tenant_id, o.key FROM outbox o WHERE o.due_at <= {now}
      AND (o.lease_until IS NULL OR o.lease_until <= {now}) AND NOT EXISTS (SELECT 1 FROM outbox p
      WHERE p.tenant_id = o.tenant_id AND p.key = o.key AND p.entry < o.entry)
      ORDER BY o.entry LIMIT ? {skip_locked o}),
    given AS MATERIALIZED (SELECT n.entry FROM heads h JOIN outbox n ON n.tenant_id = h.tenant_id AND n.key = h.key
      WHERE NOT EXISTS (SELECT 1 FROM outbox q WHERE q.tenant_id = n.tenant_id AND q.key = n.key
      AND q.entry <= n.entry AND q.due_at > {now}) ORDER BY n.entry LIMIT ?)
    UPDATE outbox SET worker = ?, lease_until = {in ?}, tries = tries + 1 WHERE entry IN (SELECT entry FROM given)
    RETURNING entry, id, tenant_id, key, kind, {text payload} AS payload, tries, {ms created_at} AS created_at]]
  local DONE = sql [[DELETE FROM outbox WHERE entry IN (SELECT {whole value} FROM {texts ?}) AND worker = ?
    RETURNING entry]]
  local PUT_OFF = sql "UPDATE outbox SET due_at = {in ?}, why = ? WHERE entry = ? AND worker = ? RETURNING entry"
  local LET_GO = sql [[UPDATE outbox SET lease_until = NULL, worker = NULL
    WHERE tenant_id = ? AND key = ? AND worker = ?]]
  local SIZE = sql "SELECT count(*) AS count, {ms min(created_at)} AS oldest FROM outbox"

  local steps, calls = {}, {}

  function steps.outbox_add(tenant, entry)
    local clean, text, name = fields.clean(ENTRY, entry)
    if not clean then return nil, text, name end
    local id = clean.id or ident.uuid()
    local list = unit.always({ { ADD, { id, tenant, clean.key, clean.kind, clean.payload }, into = "outbox" } }, id)
    -- The numbers of a key's entries are given in the order in which their transactions end.
    list.locks, list.announces = { tenant .. ":" .. clean.key }, true
    return list
  end

  local function entry_of(row)
    return { entry = row.entry, id = row.id, tenant = row.tenant_id, key = row.key, kind = row.kind,
      payload = json.decode(row.payload), tries = row.tries, createdAt = row.created_at }
  end

  function calls.outbox_take(engine, worker, options)
    local clean, text, name = fields.clean({ lease_ms = "ms" }, options)
    if clean then worker, text, name = fields.one("text", "the worker's name", worker) end
    if not clean or not worker then return nil, text, name end
    local limit
    limit, text, name = fields.limit(options.limit, LIMIT, LIMIT_MOST)
    if not limit then return nil, text, name end
    local rows
    rows, text, name = engine.write("*", { { TAKE, { limit, limit, worker, clean.lease_ms } } })
    if not rows then return nil, text, name end
    local list = json.array {}
    for i, row in ipairs(rows[1]) do list[i] = entry_of(row) end
    table.sort(list, function(a, b) return a.entry < b.entry end)
    return list
  end

  function calls.outbox_done(engine, worker, entries)
    local numbers = json.array {}
    for i, entry in ipairs(entries) do numbers[i] = entry.entry end
    if #numbers == 0 then return 0 end
    local rows, text, name = engine.write("*", { { DONE, { json.encode(numbers), worker } } })
    if not rows then return nil, text, name end
    return #rows[1]
  end

  function calls.outbox_retry(engine, worker, entry, options)
    local clean, text, name = fields.clean({ delay_ms = "whole", why = "note?" }, options)
    if not clean then return nil, text, name end
    local rows
    rows, text, name = engine.write("*", {
      unit.one(PUT_OFF, { clean.delay_ms, clean.why, entry.entry, worker, n = 4 }, "the entry is not the worker's"),
      { LET_GO, { entry.tenant, entry.key, worker } },
    })
    if not rows then return nil, text, name end
    return true
  end

  function calls.outbox_size(engine)
    local rows, text, name = engine.read("*", { SIZE, {} })
    if not rows then return nil, text, name end
    return rows[1]
  end

  return { steps = steps, calls = calls,
    platform = { outbox_take = true, outbox_done = true, outbox_retry = true, outbox_size = true } }
end
