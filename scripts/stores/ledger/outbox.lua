-- outbox.lua: effects that are to leave: added with what they follow from, given out in order, one worker to a key.
--
-- Each key has one head, its first entry; the database makes the next one the head when it goes. A head that is due is
-- free; when it is given out, it is due again at the end of its lease. What is given out of a key is always its
-- beginning. So it costs the same however much waits.
--
-- A try of the head counts when it is given out, also when its worker then dies; that of an entry behind it counts when
-- it has failed: perhaps it is never tried at all.
local fields = require "stores.ledger.fields"
local unit = require "stores.ledger.unit"

local ENTRY = { key = "text", kind = "text", payload = "json", id = "uuid?" }
local LIMIT, LIMIT_MOST = 10, 1000

return function(sql)
  local ADD = sql [[INSERT INTO outbox (id, tenant_id, key, kind, payload, due_at, created_at, head)
    VALUES (?, ?, ?, ?, ?, {now}, {now}, CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE tenant_id = ? AND key = ?)
    THEN 0 ELSE 1 END) RETURNING id]]
  local TAKE = sql [[WITH heads AS MATERIALIZED (SELECT o.tenant_id, o.key FROM outbox o
      WHERE o.head = 1 AND o.due_at <= (SELECT {now}) ORDER BY o.due_at LIMIT ? {skip_locked o}),
    ends AS MATERIALIZED (SELECT h.tenant_id, h.key, (SELECT max(x.entry) FROM (SELECT y.entry FROM outbox y
      WHERE y.tenant_id = h.tenant_id AND y.key = h.key ORDER BY y.entry LIMIT ?) x) AS upto FROM heads h),
    given AS MATERIALIZED (SELECT n.entry FROM ends e JOIN outbox n ON n.tenant_id = e.tenant_id AND n.key = e.key
      AND n.entry <= e.upto ORDER BY n.entry LIMIT ?)
    UPDATE outbox SET worker = ?, due_at = {in ?}, tries = tries + head WHERE entry IN (SELECT entry FROM given)
    RETURNING entry, id, tenant_id, key, kind, {text payload} AS payload, tries + 1 - head AS tries,
    {ms created_at} AS created_at]]
  local DONE = sql [[DELETE FROM outbox WHERE entry IN (SELECT {whole value} FROM {texts ?}) AND worker = ?
    RETURNING entry]]
  local WHY = sql "UPDATE outbox SET why = ?, tries = ? WHERE entry = ? AND worker = ? RETURNING entry"
  local PUT_OFF = sql [[UPDATE outbox SET worker = NULL, due_at = CASE head WHEN 1 THEN {in ?} ELSE {now} END
    WHERE tenant_id = ? AND key = ? AND worker = ?]]
  local SIZE = sql "SELECT count(*) AS count, {ms min(created_at)} AS oldest FROM outbox"

  local steps, calls = {}, {}

  -- One at a time adds to a key or finishes its entries: they are numbered in the order in which their transactions
  -- end, and the first of them is always the head.
  local function lock_of(tenant, key)
    return tenant .. ":" .. key
  end

  function steps.outbox_add(tenant, entry)
    local clean, text, name = fields.clean(ENTRY, entry)
    if not clean then return nil, text, name end
    local id = clean.id or ident.uuid()
    local list = unit.always({ { ADD, { id, tenant, clean.key, clean.kind, clean.payload, tenant, clean.key },
      into = "outbox" } }, id)
    list.locks, list.announces = { lock_of(tenant, clean.key) }, true
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
    rows, text, name = engine.write("*", { { TAKE, { limit, limit, limit, worker, clean.lease_ms } } })
    if not rows then return nil, text, name end
    local list = json.array {}
    for i, row in ipairs(rows[1]) do list[i] = entry_of(row) end
    table.sort(list, function(a, b) return a.entry < b.entry end)
    return list
  end

  function calls.outbox_done(engine, worker, entries)
    local numbers, locks, known = json.array {}, {}, {}
    for i, entry in ipairs(entries) do
      local lock = lock_of(entry.tenant, entry.key)
      if not known[lock] then locks[#locks + 1] = lock end
      known[lock], numbers[i] = true, entry.entry
    end
    if #numbers == 0 then return 0 end
    local rows, text, name = engine.write("*", { { DONE, { json.encode(numbers), worker } }, locks = locks })
    if not rows then return nil, text, name end
    return #rows[1]
  end

  function calls.outbox_retry(engine, worker, entry, options)
    local clean, text, name = fields.clean({ delay_ms = "whole", why = "note?" }, options)
    if not clean then return nil, text, name end
    local tries
    tries, text, name = fields.one("whole", "the entry's tries", entry.tries)
    if not tries then return nil, text, name end
    local rows
    rows, text, name = engine.write("*", {
      unit.one(WHY, { clean.why, tries, entry.entry, worker, n = 4 }, "the entry is not the worker's"),
      { PUT_OFF, { clean.delay_ms, entry.tenant, entry.key, worker } },
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
