-- idempotent.lua: a request whose Idempotency-Key was used before is not carried out again: its answer is sent again.
--
-- The ledger knows for each tenant, caller, route and key whether the request runs or what was answered. The handler
-- runs detached: when its client leaves, it comes to its end all the same, and the client that asks again gets the
-- answer. The lease is longer than any handler lives, so that nobody takes over what still runs.
local answer = require "lib.answer"
local detach = require "detach"
local problem = require "lib.problem"
local stores = require "stores"

local idempotent = {}

-- What the answer has left to be stored in, when the handler has used up its own time.
local GRACE_MS = 2000
-- A handler that holds the loop is killed stuck_ms behind its deadline at the latest.
local LEASE_MS = tonumber(process.config "request_ms") + GRACE_MS + tonumber(process.config "stuck_ms")
local KEY_MOST = 255
local TRIES, PAUSE_MS = 4, 100
-- How long a refusal waits for its key to be let go of when the ledger has just failed to answer.
local LET_GO_MS = 50
local UNANSWERED = { unavailable = true, timeout = true }
local PROBLEM_TYPE = "application/problem+json"

-- What a handler may read of a request; read before it is detached, because it may outlive the request.
local FIELDS = { "body", "client", "deadline", "headers", "host", "method", "now_ms", "params", "path", "query",
  "request_id", "role", "route", "session", "session_data", "tenant", "trace_id" }

local function refuse_key(code, detail)
  problem.raise { status = 400, code = code, detail = detail }
end

local function key_of(req, required)
  local key = req.headers["idempotency-key"]
  if key == nil then
    if required then refuse_key("idempotency_key_required", "this needs the header Idempotency-Key") end
    return nil
  end
  if type(key) == "string" and #key <= KEY_MOST and key:find "^[!-~]+$" then return key end
  refuse_key("invalid_idempotency_key", "Idempotency-Key must be one word of 1 to " .. KEY_MOST .. " ASCII characters")
end

-- Who may see the answer again: who has the key of that role, or the session. A request without a session begins a new
-- one, so that there is nothing that it could repeat.
local function caller_of(req, route)
  if route.role then return "role:" .. req.role end
  if req.session then return "session:" .. ident.sha256(req.session) end
  if route.idempotent ~= "required" then return nil end
  refuse_key("session_required", "an Idempotency-Key needs a session: the cookie, or X-Session-ID")
end

local function hash_of(req)
  return ident.sha256(req.path .. "\n" .. json.encode(json.object(req.query)) .. "\n" .. req.body)
end

-- A body that is no JSON is refused here, before anything is noted.
local function keep_request(req)
  for _, field in ipairs(FIELDS) do local _ = req[field] end
  if req.body ~= "" then local _ = req.json end
end

local function header_of(headers, wanted)
  for name, text in pairs(headers) do
    if name:lower() == wanted then return text end
  end
end

-- The JSON of an answer; the server would add the id of a problem's request, but what is stored must be whole.
local function body_of(made, kind, req)
  if kind ~= PROBLEM_TYPE or type(made.json) ~= "table" then return json.encode(made.json) end
  local document = { requestId = req.request_id }
  for name, value in pairs(made.json) do document[name] = value end
  return json.encode(document)
end

-- What a handler returned, as the bytes that are sent and stored: { status, headers, body }.
local function render(made, req)
  if made == nil then made = answer.empty(204) end
  if type(made) == "string" then made = answer.text(200, made) end
  if not made[answer.TAG] then made = answer.json(200, made) end
  local headers = {}
  for name, text in pairs(made.headers or {}) do headers[name] = text end
  local kind = header_of(headers, "content-type")
  local body = made.body
  if made.json ~= nil then body = body_of(made, kind, req) end
  if body and not kind then
    headers["Content-Type"] = made.json ~= nil and "application/json" or "text/plain; charset=utf-8"
  end
  return { status = made.status or 200, headers = headers, body = body or "" }
end

local function shown(stored, replayed)
  local headers = {}
  for name, text in pairs(stored.headers or {}) do headers[name] = text end
  if replayed then headers["Idempotent-Replayed"] = "true" end
  local body = stored.body ~= "" and stored.body or nil
  return { [answer.TAG] = true, status = stored.status, headers = headers, body = body }
end

-- The lease is as long as a request may take at most; nearly all take far less, so it is worth asking again sooner.
local ASK_AGAIN_MS = 2000

local function refuse_running(retry_ms)
  problem.raise { status = 409, code = "idempotency_key_running",
    detail = "a request with this Idempotency-Key runs; ask again for its answer",
    headers = { ["Retry-After"] = tostring(math.max(1, math.ceil(math.min(retry_ms or 1000, ASK_AGAIN_MS) / 1000))) } }
end

-- Without the ledger nobody knows whether the request was carried out before: it is not carried out now.
local function refuse_unknown(text, name)
  log.warn("idempotency_unknown", { error = tostring(text), code = tostring(name) })
  problem.raise { status = 503, code = "unavailable", headers = { ["Retry-After"] = "1" },
    detail = "what became of this Idempotency-Key cannot be known now; try again with the same one" }
end

-- Has the ledger do something that a claim may do; what may not have reached it is tried again. Returns true, false
-- when the claim is not valid any more, or nil, text, name.
local function settle(act, tenant_id, ...)
  local done, text, name
  for try = 1, TRIES do
    if try > 1 then sleep(PAUSE_MS * try) end
    done, text, name = stores.ledger[act](tenant_id, ...)
    if done then return true end
    if name == "precondition_failed" then return false end
  end
  return nil, text, name
end

-- The key is not this request's any more: its answer was stored after all, or another request has taken it over.
local function answer_of_another(req, wanted)
  local claim, text, name = stores.ledger.key_claim(req.tenant.id, wanted)
  if not claim then refuse_unknown(text, name) end
  if claim.state == "done" then return shown(claim.answer, true) end
  if claim.state == "new" then settle("key_release", req.tenant.id, claim) end
  refuse_running(claim.retry_ms)
end

-- The key is free again; if this fails, when the lease runs out. Who has waited for a ledger that does not answer does
-- not wait for it once more: the key is let go of behind the answer.
local function let_go(tenant_id, claim)
  local function release() return settle("key_release", tenant_id, claim) end
  if not claim.unanswered then return release() end
  local ended, valid = detach(release, 0, LET_GO_MS)
  if ended then return valid end
end

-- How the handler ended: its answer, or nil and the error to be raised.
local function run_handler(req, run)
  local ok, value, trace = detach(function() return run(req) end, -GRACE_MS)
  if ok then return value end
  if ok == nil or trace == "timeout" then
    return problem.answer { status = 503, code = ok == nil and trace or "timeout", detail = "it took too long",
      headers = { ["Retry-After"] = "1" } }
  end
  if type(value) == "table" and value[answer.TAG] then return value end
  return nil, trace
end

-- A fault of ours, or a refusal that asks to come back, is not what became of the request: the key is free again.
local function is_final(stored)
  return stored.status < 400 or (stored.status < 500 and not header_of(stored.headers, "retry-after"))
end

-- Runs the handler of a fresh claim and stores its answer.
local function carry_out(req, run, wanted, claim)
  req.idempotency = claim
  local made, fault = run_handler(req, run)
  if claim.stored then return shown(claim.stored) end
  local stored = not fault and render(made, req)
  local valid, text, name
  if stored and is_final(stored) then
    valid, text, name = settle("key_finish", req.tenant.id, claim, stored)
    if valid == nil then refuse_unknown(text, name) end
  else
    valid = let_go(req.tenant.id, claim)
  end
  if valid == false then return answer_of_another(req, wanted) end
  if fault then error(fault, 0) end
  return shown(stored)
end

local function attend(req, run, caller, key)
  local wanted = { caller = caller, route = req.method .. " " .. req.route, key = key, hash = hash_of(req),
    lease_ms = LEASE_MS }
  local claim, text, name = stores.ledger.key_claim(req.tenant.id, wanted)
  if not claim then refuse_unknown(text, name) end
  if claim.state == "done" then return shown(claim.answer, true) end
  if claim.state == "running" then refuse_running(claim.retry_ms) end
  if claim.state == "other" then
    problem.raise { status = 422, code = "idempotency_key_reused",
      detail = "this Idempotency-Key was used for another request; a new request needs a new one" }
  end
  return carry_out(req, run, wanted, claim)
end

local function wrap(route)
  local run = route.run
  return function(req)
    local key = key_of(req, route.idempotent == "required")
    local caller = key and caller_of(req, route)
    if not caller then return run(req) end
    keep_request(req)
    local ok, value, trace = detach(function() return attend(req, run, caller, key) end, GRACE_MS)
    if ok then return value end
    if ok == nil then problem.of_failure(value, trace) end
    if trace == "timeout" then problem.of_failure("it took too long", "timeout") end
    error(type(value) == "table" and value or trace, 0)
  end
end

-- Takes main.lua's routes and returns them: those with `idempotent = true` honour the key when there is one, those with
-- "required" answer 400 without.
function idempotent.protect(routes)
  for spec, route in pairs(routes) do
    if type(route) == "table" and route.idempotent then
      if not spec:find "^POST " or (route.idempotent ~= true and route.idempotent ~= "required") then
        error(spec .. ': idempotent is true or "required", and for POST only', 0)
      end
      route.run = wrap(route)
    end
  end
  return routes
end

-- For a handler whose effects are steps of ledger.apply: does them and stores `made`, the answer that the handler will
-- return, in the same transaction: both happen or neither, whatever dies. Without a key it only does them. Returns the
-- steps' results, or nil, text, name; then the handler answers with another status, or raises.
function idempotent.apply(req, steps, made, options)
  local claim, all = req.idempotency, {}
  for i, step in ipairs(steps) do all[i] = step end
  local stored = claim and render(made, req)
  if claim then all[#all + 1] = { "key_finish", claim, stored } end
  local results, text, name = stores.ledger.apply(req.tenant.id, all, options)
  if claim then claim.unanswered = not results and UNANSWERED[name] end
  if not results then return nil, text, name end
  if claim then claim.stored, results[#all] = stored, nil end
  return results
end

return idempotent
