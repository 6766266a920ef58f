-- keys.lua: idempotency keys: claimed by one, finished with an answer that is kept, taken over when left.
local answers = require "stores.ledger.answers"
local fields = require "stores.ledger.fields"
local unit = require "stores.ledger.unit"

local CLAIM = { caller = "text", route = "text", key = "text", hash = "text", lease_ms = "ms", ttl_s = "ms?" }
local CLAIMED = { caller = "text", route = "text", key = "text", epoch = "whole" }
local DAY_S = 86400

return function(sql)
  -- The first epoch is the clock, so that it is higher than that of a row that was swept.
  local TAKE = sql [[INSERT INTO idempotency_keys (tenant_id, caller, route, key, hash, state, epoch, lease_until,
    created_at, expires_at) VALUES (?, ?, ?, ?, ?, 'running', {clock}, {in ?}, {now}, {in ?})
    ON CONFLICT (tenant_id, caller, route, key) DO UPDATE SET hash = excluded.hash, state = 'running',
    epoch = {higher idempotency_keys.epoch + 1 | excluded.epoch}, lease_until = excluded.lease_until,
    created_at = excluded.created_at, expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL
    WHERE idempotency_keys.expires_at <= {now} OR (idempotency_keys.state = 'running'
    AND idempotency_keys.lease_until <= {now} AND idempotency_keys.hash = excluded.hash) RETURNING epoch]]
  local LOOK = sql [[SELECT state, hash, status, {text headers} AS headers, body,
    {higher {ms lease_until} - {clock} | 1} AS retry_ms FROM idempotency_keys
    WHERE tenant_id = ? AND caller = ? AND route = ? AND key = ?]]
  local MINE = [[ WHERE tenant_id = ? AND caller = ? AND route = ? AND key = ? AND epoch = ? AND state = 'running'
    AND expires_at > {now} RETURNING epoch]]
  local FINISH = sql("UPDATE idempotency_keys SET state = 'done', status = ?, headers = ?, body = {bytes ?}" .. MINE)
  local RELEASE = sql("UPDATE idempotency_keys SET expires_at = {now}" .. MINE)
  local RENEW = sql("UPDATE idempotency_keys SET lease_until = {in ?}" .. MINE)

  local calls, steps = {}, {}

  local function verdict(row, clean)
    if row.hash ~= clean.hash then return { state = "other" } end
    if row.state == "done" then return { state = "done", answer = answers.of(row) } end
    return { state = "running", retry_ms = row.retry_ms }
  end

  function calls.key_claim(engine, tenant, claim)
    local clean, text, name = fields.clean(CLAIM, claim)
    if not clean then return nil, text, name end
    local rows
    rows, text, name = engine.write(tenant, {
      { TAKE, { tenant, clean.caller, clean.route, clean.key, clean.hash, clean.lease_ms,
        (clean.ttl_s or DAY_S) * 1000 } },
      { LOOK, { tenant, clean.caller, clean.route, clean.key } },
    })
    if not rows then return nil, text, name end
    local taken = rows[1][1]
    if not taken then return verdict(rows[2][1], clean) end
    return { state = "new", epoch = taken.epoch, caller = clean.caller, route = clean.route, key = clean.key }
  end

  -- A unit of the one statement that changes the claim's row; `first` are the parameters before the claim's.
  local function change(text, tenant, claim, first)
    local clean, why, name = fields.clean(CLAIMED, claim)
    if not clean then return nil, why, name end
    for _, value in ipairs { tenant, clean.caller, clean.route, clean.key, clean.epoch } do
      first[#first + 1] = value
    end
    return unit.always({ unit.one(text, first, "the key is not the claim's any more") }, true)
  end

  function steps.key_finish(tenant, claim, answer)
    local clean, text, name = fields.one("answer", "the answer", answer)
    if not clean then return nil, text, name end
    return change(FINISH, tenant, claim, { clean.status, clean.headers, unit.bytes(clean.body) })
  end

  function steps.key_release(tenant, claim)
    return change(RELEASE, tenant, claim, {})
  end

  function steps.key_renew(tenant, claim, lease_ms)
    local clean, text, name = fields.one("ms", "the lease", lease_ms)
    if not clean then return nil, text, name end
    return change(RENEW, tenant, claim, { clean })
  end

  return { steps = steps, calls = calls }
end
