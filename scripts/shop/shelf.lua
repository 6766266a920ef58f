-- shelf.lua: products as clients see them, cached by id as the JSON that is sent.
--
-- Each write puts the new state there itself, and never over a newer one: who has read an older state meanwhile, from
-- the documents or before somebody else's write, does not bring it back.
local read_through = require "lib.read_through"
local schema = require "schema.product"

local shelf = {}

local KEPT = { ttl_s = 120, negative_s = 10, version = function(view) return view.version end }
-- Ids are the server's own: what is none is not worth a place in the cache.
local ID_BYTES = 36

-- Tenants for whom something could not be put there: until what it still holds has expired, it is not asked.
local doubtful = {}

local function key_of(id)
  return "product:" .. id
end

local function is_doubtful(tenant_id)
  local until_ms = doubtful[tenant_id]
  if not until_ms then return false end
  if clock.now_ms() < until_ms then return true end
  doubtful[tenant_id] = nil
  return false
end

local function renew(tenant_id, id, view)
  local done, _, failure = read_through.renew(tenant_id, key_of(id), KEPT, view)
  if failure then doubtful[tenant_id] = clock.now_ms() + KEPT.ttl_s * 1000 end
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

-- The product's JSON and version, or nil without such a product. find() returns it from the documents.
function shelf.get(tenant_id, id, find)
  local function load()
    local product = find()
    return product and schema:view(product)
  end
  if #id == ID_BYTES and not is_doubtful(tenant_id) then
    return read_through.text(tenant_id, key_of(id), KEPT, load)
  end
  local view = load()
  if view then return json.encode(view), view.version end
end

return shelf
