-- shelf.lua: products as clients see them, cached by id as the JSON that is sent.
--
-- Each write puts the new state there itself, and never over a newer one: who has read an older state meanwhile, from
-- the documents or before somebody else's write, does not bring it back.
local problem = require "lib.problem"
local read_through = require "lib.read_through"
local schema = require "schema.product"
local stores = require "stores"

local shelf = {}

local KEPT = { ttl_s = 120, negative_s = 10, version = function(view) return view.version end }
local SPACE = "product:"
-- Ids are the server's own: what is none is not worth a place in the cache.
local ID_BYTES = 36

-- Tenants for whom something could neither be put there nor taken away: until what it still holds has expired, this
-- process does not ask it. Others may, until the sweep of whichever process reaches it has put the new state there.
local doubtful = {}

local function key_of(id)
  return SPACE .. id
end

local function is_doubtful(tenant_id)
  local until_ms = doubtful[tenant_id]
  if not until_ms then return false end
  if clock.now_ms() < until_ms then return true end
  doubtful[tenant_id] = nil
  return false
end

-- A full store takes nothing new, but lets the old go; one that hangs is not waited for a second time.
local function is_gone(tenant_id, id, failure)
  return failure == "unavailable" and stores.cache.delete(tenant_id, key_of(id))
end

local function renew(tenant_id, id, view)
  local done, _, failure = read_through.renew(tenant_id, key_of(id), KEPT, view)
  if failure and not is_gone(tenant_id, id, failure) then
    doubtful[tenant_id] = clock.now_ms() + KEPT.ttl_s * 1000
  end
  return done ~= nil
end

-- After a change. Returns whether it is known: if not, it has to be put again. A new product has never been asked for.
function shelf.put(tenant_id, product)
  return product.version == 1 or renew(tenant_id, product.id, schema:view(product))
end

-- After the product was removed.
function shelf.drop(tenant_id, id)
  return renew(tenant_id, id, nil)
end

local function load(tenant_id, key)
  local product = problem.check(stores.documents.get(tenant_id, "products", key:sub(#SPACE + 1)))
  return product and schema:view(product)
end

-- The product's JSON and its version's digits, or nil without such a product.
function shelf.get(tenant_id, id)
  local key = key_of(id)
  if #id == ID_BYTES and not is_doubtful(tenant_id) then
    return read_through.text(tenant_id, key, KEPT, load)
  end
  local view = load(tenant_id, key)
  if view then return json.encode(view), ("%d"):format(view.version) end
end

return shelf
