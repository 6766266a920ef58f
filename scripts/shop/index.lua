-- index.lua: keeps the search index in step with the products, through a mark that survives a crash.
--
-- Each change of a product sets `pending` and raises `rev` in the same write. Indexing puts the product in the index
-- and then clears the mark, guarded by rev: who indexed an older state finds the guard not met and looks again. What
-- a crash leaves pending is found by the sweep.
local audit = require "shop.audit"
local generation = require "shop.generation"
local problem = require "lib.problem"
local shelf = require "shop.shelf"
local stores = require "stores"

local index = {}

local PRODUCTS = "products"
local BATCH = 100

-- Notes the products' changes of price. Returns whether they are in the ledger.
local function note_prices(tenant_id, products)
  local records = {}
  for _, product in ipairs(products) do
    for _, record in ipairs(product.audits or {}) do records[#records + 1] = record end
  end
  return audit.write(tenant_id, records)
end

-- Puts the products on the shelf. Returns { id = true } of those that are there: once it has failed, the others are
-- left to the sweep, so that nobody waits for each of them.
local function shelve(tenant_id, products)
  local there = {}
  for _, product in ipairs(products) do
    if not shelf.put(tenant_id, product) then break end
    there[product.id] = true
  end
  return there
end

-- Clears the mark of one indexed product, unless a change of its price is not noted. Returns the product to index again
-- when it has changed meanwhile, or false when the mark has to stay.
local function settle(tenant_id, product, noted)
  if product.audits and not noted then return false end
  local _, text, name = stores.documents.update(tenant_id, PRODUCTS, product.id,
    { unset = { "pending", "audits" }, guard = { rev = product.rev } })
  if not name then return nil end
  if name == "not_found" then
    problem.check(stores.search.remove(tenant_id, product.id))
    return nil
  end
  if name ~= "precondition_failed" then problem.of_failure(text, name) end
  local newer = problem.check(stores.documents.get(tenant_id, PRODUCTS, product.id))
  if not newer then problem.check(stores.search.remove(tenant_id, product.id)) end
  return newer
end

-- Brings the products' latest states onto the shelf and into the index. Lists have changed already, searches have when
-- it is done. Returns false when a mark has stayed although its product is indexed.
function index.put(tenant_id, products)
  generation.raise(tenant_id)
  local left, settled = products, true
  for _ = 1, 5 do
    if #left == 0 then break end
    local shelved = shelve(tenant_id, left)
    problem.check(stores.search.put_many(tenant_id, left))
    local again, noted = {}, note_prices(tenant_id, left)
    for _, product in ipairs(left) do
      local newer = false
      if shelved[product.id] then newer = settle(tenant_id, product, noted) end
      settled = settled and newer ~= false
      again[#again + 1] = newer or nil
    end
    left = again
  end
  generation.raise(tenant_id)
  return settled
end

-- Takes a product out, before its document goes: the mark is set by then, so that a crash in between indexes it again.
function index.remove(tenant_id, id)
  problem.check(stores.search.remove(tenant_id, id))
  generation.raise(tenant_id)
end

local function sweep_tenant(tenant_id)
  repeat
    local found = problem.check(stores.documents.find(tenant_id, PRODUCTS,
      { filter = { pending = true }, limit = BATCH }))
    local settled = #found == 0 or index.put(tenant_id, found)
  until #found < BATCH or not settled
end

-- Indexes what is pending anywhere, and notes what is still to be noted. Requests do it for what they change; this is
-- for what they left.
function index.sweep()
  local found = problem.check(stores.documents.find("*", "tenants", { limit = 10000 }))
  for _, tenant in ipairs(found) do
    audit.note_settings(tenant)
    sweep_tenant(tenant.id)
  end
end

return index
