-- tables.lua: the SQL of the search index: the items, their facets, and two full-text indexes kept in step by triggers.
local tables = {}

-- `texts` is stemmed and answers searches; `names` is not, and answers what somebody is still typing. The tenant is a
-- word of its own in both, so that a search walks only its tenant's entries.
local TRIGGER_BODY = {
  insert = "INSERT INTO texts (rowid, tenant_word, name, description, sku) "
    .. "VALUES (NEW.item, NEW.tenant_word, NEW.name, NEW.description, NEW.sku); "
    .. "INSERT INTO names (rowid, tenant_word, name) VALUES (NEW.item, NEW.tenant_word, NEW.name);",
  delete = "INSERT INTO texts (texts, rowid, tenant_word, name, description, sku) "
    .. "VALUES ('delete', OLD.item, OLD.tenant_word, OLD.name, OLD.description, OLD.sku); "
    .. "INSERT INTO names (names, rowid, tenant_word, name) VALUES ('delete', OLD.item, OLD.tenant_word, OLD.name);",
}

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
  "CREATE TRIGGER items_insert AFTER INSERT ON items BEGIN " .. TRIGGER_BODY.insert .. " END",
  "CREATE TRIGGER items_delete AFTER DELETE ON items BEGIN " .. TRIGGER_BODY.delete .. " END",
  "CREATE TRIGGER items_update AFTER UPDATE ON items WHEN NEW.name IS NOT OLD.name "
    .. "OR NEW.description IS NOT OLD.description OR NEW.sku IS NOT OLD.sku BEGIN "
    .. TRIGGER_BODY.delete .. " " .. TRIGGER_BODY.insert .. " END",
} }

-- The tenant as one word; two tenants with the same word are still told apart by the items' own column.
function tables.tenant_word(tenant)
  return "t" .. tenant:lower():gsub("[^a-z0-9]", "")
end

return tables
