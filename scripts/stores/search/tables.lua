-- tables.lua: the SQL of the search index: the items, their facets, and two full-text indexes kept in step by triggers.
local tables = {}

-- `texts` is stemmed and answers searches; `names` is not, and answers what somebody is still typing. The tenant is a
-- word of its own in both, so that a search walks only its tenant's entries.
--
-- Scripts without spaces (cjk_apart): each character is a word there, so that any part of a run is found as a phrase.
local function trigger_body(text)
  local insert, delete = {}, {}
  for i, column in ipairs { "name", "description", "sku" } do
    insert[i], delete[i] = text:format("NEW." .. column), text:format("OLD." .. column)
  end
  return {
    insert = "INSERT INTO texts (rowid, tenant_word, name, description, sku) "
      .. "VALUES (NEW.item, NEW.tenant_word, " .. table.concat(insert, ", ") .. "); "
      .. "INSERT INTO names (rowid, tenant_word, name) VALUES (NEW.item, NEW.tenant_word, " .. insert[1] .. ");",
    delete = "INSERT INTO texts (texts, rowid, tenant_word, name, description, sku) "
      .. "VALUES ('delete', OLD.item, OLD.tenant_word, " .. table.concat(delete, ", ") .. "); "
      .. "INSERT INTO names (names, rowid, tenant_word, name) VALUES ('delete', OLD.item, OLD.tenant_word, "
      .. delete[1] .. ");",
  }
end

local function triggers(text)
  local body = trigger_body(text)
  return "CREATE TRIGGER items_insert AFTER INSERT ON items BEGIN " .. body.insert .. " END",
    "CREATE TRIGGER items_delete AFTER DELETE ON items BEGIN " .. body.delete .. " END",
    "CREATE TRIGGER items_update AFTER UPDATE ON items WHEN NEW.name IS NOT OLD.name "
      .. "OR NEW.description IS NOT OLD.description OR NEW.sku IS NOT OLD.sku BEGIN "
      .. body.delete .. " " .. body.insert .. " END"
end

tables.steps = { {
  "CREATE TABLE items (item INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, tenant_word TEXT NOT NULL, "
    .. "name TEXT NOT NULL, description TEXT, sku TEXT, status TEXT, price INTEGER, created_at TEXT, "
    .. "UNIQUE (tenant, id))",
  "CREATE INDEX items_created ON items (tenant, status, created_at, id)",
  "CREATE INDEX items_price ON items (tenant, status, price, id)",
  "CREATE TABLE item_categories (item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE, value TEXT NOT NULL, "
    .. "PRIMARY KEY (item, value)) WITHOUT ROWID",
  "CREATE TABLE item_attributes (item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE, name TEXT NOT NULL, "
    .. "value TEXT NOT NULL, PRIMARY KEY (item, name, value)) WITHOUT ROWID",
  "CREATE VIRTUAL TABLE texts USING fts5 (tenant_word, name, description, sku, content = 'items', "
    .. "content_rowid = 'item', tokenize = 'porter unicode61 remove_diacritics 2')",
  "CREATE VIRTUAL TABLE names USING fts5 (tenant_word, name, content = 'items', content_rowid = 'item', "
    .. "tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')",
  "CREATE VIRTUAL TABLE vocabulary USING fts5vocab (names, row)",
  triggers "%s",
}, {
  "DROP TRIGGER items_insert",
  "DROP TRIGGER items_delete",
  "DROP TRIGGER items_update",
  "INSERT INTO texts (texts) VALUES ('delete-all')",
  "INSERT INTO names (names) VALUES ('delete-all')",
  "INSERT INTO texts (rowid, tenant_word, name, description, sku) "
    .. "SELECT item, tenant_word, cjk_apart(name), cjk_apart(description), cjk_apart(sku) FROM items",
  "INSERT INTO names (rowid, tenant_word, name) SELECT item, tenant_word, cjk_apart(name) FROM items",
  triggers "cjk_apart(%s)",
} }

-- The tenant as one word; two tenants with the same word are still told apart by the items' own column.
function tables.tenant_word(tenant)
  return "t" .. tenant:lower():gsub("[^a-z0-9]", "")
end

return tables
