-- postgres.lua: what scripts may expect of the module `lib.pg`.
local tests = {}

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- A table of the test's own with these columns; it is dropped when `use` has come back.
local function with_table(t, pg, columns, use)
  local name = "t" .. t.uuid():gsub("-", "")
  t.works(pg.exec(("create table %s (%s)"):format(name, columns)))
  local ok, why = pcall(use, name)
  t.works(pg.exec("drop table " .. name))
  if not ok then error(why, 0) end
end

-- Like t.fails; returns what the server said, too.
local function refused(t, wanted, sqlstate, value, text, name, info)
  t.fails(wanted, value, text, name)
  t.equal(info and info.sqlstate, sqlstate, "sqlstate of " .. text)
  return text, info
end

local function all_ok(t, results)
  for _, result in ipairs(results) do t.ok(result.ok, result.traceback) end
end

test("rows are tables by the columns' names", function(t, pg)
  t.equal(pg.query("select 1 as one, 'a' as letter union all select 2, 'b' order by 1"),
    { { one = 1, letter = "a" }, { one = 2, letter = "b" } })
  t.equal(pg.query("select 1 as one where false"), {})
  t.equal(pg.one("select 'x' as x, true as yes"), { x = "x", yes = true })
  local row, text, name = pg.one("select 1 where false")
  t.equal({ row, text, name }, {})
end)

test("exec tells how many rows were affected", function(t, pg)
  with_table(t, pg, "id int", function(name)
    t.equal(pg.exec("insert into " .. name .. " select generate_series(1, 5)"), 5)
    t.equal(pg.exec("update " .. name .. " set id = id where id > $1", 3), 2)
    t.equal(pg.exec("delete from " .. name .. " where id = 100"), 0)
    t.equal(pg.query("delete from " .. name .. " where id = 1"), {})
    t.equal(pg.query("insert into " .. name .. " values (9) returning id"), { { id = 9 } })
  end)
end)

-- The value goes there and comes back as it was; `text` is what the server makes of it.
local function survives(t, pg, type, value, text)
  local row = t.works(pg.one(("select $1::%s as v, $1::%s::text as text"):format(type, type), value))
  t.ok(row.v == value, type .. ": " .. tostring(row.v) .. " instead of " .. tostring(value))
  if text then t.equal(row.text, text, type) end
end

test("scalars survive both ways", function(t, pg)
  survives(t, pg, "int4", -2147483648)
  survives(t, pg, "int8", 9007199254740992)
  survives(t, pg, "int8", decimal.new "9223372036854775807", "9223372036854775807")
  survives(t, pg, "int8", decimal.new "-9007199254740993")
  survives(t, pg, "numeric", decimal.new "0.10", "0.10")
  survives(t, pg, "numeric", decimal.new("1234567890123456789012345678901234567890.0000000000123"))
  survives(t, pg, "float8", 0.1, "0.1")
  survives(t, pg, "float8", 1e-300)
  survives(t, pg, "float8", math.huge, "Infinity")
  survives(t, pg, "bool", true, "true")
  survives(t, pg, "bool", false, "false")
  survives(t, pg, "text", "a\n\"'\\ \226\130\172", "a\n\"'\\ \226\130\172")
  survives(t, pg, "text", "")
  survives(t, pg, "uuid", t.uuid())
  survives(t, pg, "timestamptz", "2024-11-21T10:00:00.123456Z")
  survives(t, pg, "timestamptz", "infinity")
  survives(t, pg, "timestamp", "2024-11-21T10:00:00.5")
  survives(t, pg, "date", "2024-02-29")
  t.equal(t.works(pg.one("select $1::timestamptz as at", "2024-11-21T10:00:00+02:00")).at, "2024-11-21T08:00:00Z")
  t.ok(decimal.is(t.works(pg.one "select 1::numeric as v").v), "numeric is a decimal")
end)

test("NULL is absent from a row, and pg.null as a parameter", function(t, pg)
  local row = t.works(pg.one("select $1::int as a, $2::text as b, 'null'::jsonb as j", pg.null, "x"))
  t.equal(row.a, nil)
  t.equal(row.b, "x")
  t.ok(row.j == json.null, "JSON's null is none of SQL's")
  t.equal(t.works(pg.one("select $1::jsonb is null as sql, $2::jsonb is null as json", pg.null, pg.json(json.null))),
    { sql = true, json = false })
end)

test("a nil among the parameters is raised, wherever it is", function(t, pg)
  for _, call in ipairs {
    function() return pg.query("select $1, $2", nil, 1) end,
    function() return pg.query("select $1", nil) end,
    function() return pg.batch { { "select $1, $2", nil, 1 } } end,
    function() return pg.query() end,
    function() return pg.query("select $1", print) end,
    function() return pg.query("select $1", "a\0b") end,
  } do
    local ok, why = pcall(call)
    t.ok(not ok and type(why) == "string", "an error")
  end
  local _, why = pcall(pg.query, "select $1, $2", 1, nil)
  t.ok(why:find "parameter 2 is nil; NULL is pg.null", why)
end)

test("the number of parameters is checked", function(t, pg)
  t.fails("invalid", pg.query("select $1::int, $2::int", 1))
  t.fails("invalid", pg.query("select 1", 1))
  t.equal(pg.one("select 1 as v"), { v = 1 })
end)

test("tables are JSON", function(t, pg)
  local value = json.decode '{"a":[1,2.50,{"b":null}],"e":[],"o":{},"big":12345678901234567890}'
  local row = t.works(pg.one("select $1::jsonb as v, $1::jsonb->'a'->>1 as part", value))
  t.equal(json.encode(row.v), json.encode(value))
  t.equal(row.part, "2.50")
  t.equal(t.works(pg.one("select $1::jsonb as v", pg.json "text")).v, "text")
  t.equal(json.encode(t.works(pg.one "select '[]'::json as v").v), "[]")
end)

test("bytes are what they are", function(t, pg)
  local all = {}
  for i = 0, 255 do all[i + 1] = string.char(i) end
  local bytes = table.concat(all):rep(100)
  t.ok(t.works(pg.one("select $1::bytea as v", pg.bytes(bytes))).v == bytes, "all bytes")
  t.equal(t.works(pg.one("select $1::bytea as v", pg.bytes "")).v, "")
  t.equal(t.works(pg.one("select $1::bytea[] as v", pg.array { pg.bytes "\0\\", pg.null })).v, { "\0\\", pg.null })
end)

test("arrays survive both ways, with NULL and nested", function(t, pg)
  local list = { "a", "", pg.null, 'q"\\', "{}", "NULL", "x,y" }
  local row = t.works(pg.one("select $1::text[] as v, cardinality($1::text[]) as n", pg.array(list)))
  t.equal(row, { v = list, n = 7 })
  t.equal(t.works(pg.one("select $1::text[] as v", row.v)).v, list, "what came goes back as it is")
  local square = { { 1, 2 }, { 3, pg.null } }
  t.equal(t.works(pg.one("select $1::int[] as v", pg.array(square))).v, square)
  t.equal(t.works(pg.one("select $1::int[] as v", pg.array {})).v, {})
  local numbers = t.works(pg.one("select $1::int8[] as v", pg.array { 1, decimal.new "9007199254740993" })).v
  t.ok(numbers[1] == 1 and tostring(numbers[2]) == "9007199254740993", "whole numbers")
  t.equal(t.works(pg.one "select array['{\"a\":1}'::jsonb] as v").v[1].a, 1)
  t.equal(t.works(pg.one("select count(*)::int as n from generate_series(1, 9) i where i = any($1)",
    pg.array { 2, 4, 99 })).n, 2)
  t.equal(t.works(pg.one "select '[5:6]={1,2}'::int[] as v").v, { 1, 2 })
end)

test("a failure has a name, the SQLSTATE and the constraint, and no values", function(t, pg)
  local text, info, _
  local once = "once_" .. t.uuid():gsub("-", "_")
  local columns = "id int not null, secret text, constraint " .. once .. " unique (secret), "
    .. "constraint small check (id < 9)"
  with_table(t, pg, columns, function(name)
    t.works(pg.exec("insert into " .. name .. " values (1, 'tell nobody')"))
    text, info =
      refused(t, "conflict", "23505", pg.exec("insert into " .. name .. " values (2, 'tell nobody')"))
    t.equal(info.constraint, once)
    t.ok(not text:find "tell nobody", "no value in: " .. text)
    text, info = refused(t, "invalid", "23514", pg.exec("insert into " .. name .. " values (10, 'hush')"))
    t.equal(info.constraint, "small")
    t.ok(not text:find "hush", "no value in: " .. text)
    _, info = refused(t, "invalid", "23502", pg.exec("insert into " .. name .. " values (null, 'x')"))
    t.equal({ info.table, info.column }, { name, "id" })
  end)
  refused(t, "invalid", "42601", pg.query "select from where")
  refused(t, "invalid", "42P01", pg.query "select 1 from there_is_no_such_table")
  refused(t, "invalid", "22012", pg.query "select 1 / 0")
  refused(t, "invalid", "22P02", pg.query("select $1::int", "x"))
end)

test("a statement's own fault is no client's, and what a value causes is", function(t, pg)
  local check = require("lib.problem").check
  local function raised(...) return select(2, pcall(check, ...)) end
  for state, why in pairs {
    ["42601"] = raised(pg.query "selec 1"),
    ["42P01"] = raised(pg.batch { { "select 1 from there_is_no_such_table" } }),
    ["22012"] = raised(pg.query("select 1 / $1::int", 0)),
    ["08P01"] = raised(pg.query("select $1::int, $2::int", 7)),
    ["42703"] = raised(pg.transaction(function(tx) tx.query "select nothing_of_the_kind" end)),
  } do
    t.ok(type(why) == "string" and why:find("(SQLSTATE " .. state .. ")", 1, true), json.encode(why))
  end
  local refused_by_driver = raised(pg.exec "LISTEN c")
  t.ok(type(refused_by_driver) == "string", "what the driver does not send")
  local value = raised(pg.query("select $1::int", "x"))
  t.equal({ value.status, value.json.code }, { 400, "invalid" })
  t.ok(value.detail:find("(SQLSTATE 22P02)", 1, true), value.detail)
  local business = raised(pg.exec "do $$ begin raise exception 'sold out'; end $$")
  t.equal({ business.status, business.json.detail }, { 400, "sold out" })
end)

test("what needs a connection of its own is refused on a shared one", function(t, pg)
  for _, sql in ipairs { "BEGIN", "SET search_path = x", "LISTEN c", "COPY t FROM STDIN" } do
    t.fails("invalid", pg.exec(sql))
  end
  t.equal(pg.one("select 1 as v"), { v = 1 })
end)

test("what would stay behind on a shared connection is refused there", function(t, pg)
  for _, sql in ipairs { "select pg_advisory_lock(7)", "select set_config('a.b', 'x', false)" } do
    t.fails("invalid", pg.query(sql))
  end
  t.equal(pg.one("select set_config('a.b', 'x', true) as v"), { v = "x" })
end)

test("a batch answers each in order", function(t, pg)
  with_table(t, pg, "id int primary key, v int", function(name)
    local results = t.works(pg.batch {
      { "insert into " .. name .. " values ($1, $2), ($3, $4)", 1, 10, 2, 20 },
      { "select v from " .. name .. " where id = $1", 2 },
      { "update " .. name .. " set v = v + 1 where id = 1 returning v" },
      { "delete from " .. name .. " where id = 7" },
      { "select 1 as none where false" },
    })
    t.equal(results, { 2, { { v = 20 } }, { { v = 11 } }, 0, {} })
  end)
end)

test("a batch has one fate", function(t, pg)
  with_table(t, pg, "id int primary key", function(name)
    local _, info = refused(t, "conflict", "23505", pg.batch {
      { "insert into " .. name .. " values (1)" },
      { "insert into " .. name .. " values (2)" },
      { "insert into " .. name .. " values (1)" },
      { "insert into " .. name .. " values (3)" },
    })
    t.equal(info.statement, 3)
    t.equal(pg.query("select id from " .. name), {})
  end)
  t.ok(not pcall(pg.batch, {}), "an empty one is a mistake")
  t.ok(not pcall(pg.batch, { { "select 1" }, { 2 } }), "and one without SQL")
end)

test("answers do not mix, and one failure does not fail its neighbours", function(t, pg)
  local calls = {}
  for i = 1, 64 do
    calls[i] = function()
      for n = 1, 10 do
        local tag = i .. ":" .. n
        t.equal(t.works(pg.one("select $1::text as v", tag)).v, tag)
        if i % 8 == 0 then refused(t, "invalid", "22012", pg.query("select 1 / ($1::int - $1::int)", n)) end
      end
    end
  end
  all_ok(t, wait_all(calls))
end)

-- The fence

local FENCED = [[tenant_id text not null default current_setting('perigee.tenant', true), v text]]

local function with_fence(t, pg, use)
  with_table(t, pg, FENCED, function(name)
    t.works(pg.exec(("alter table %s enable row level security"):format(name)))
    t.works(pg.exec(("alter table %s force row level security"):format(name)))
    t.works(pg.exec("create policy fence on " .. name
      .. " using (tenant_id = current_setting('perigee.tenant', true))"))
    use(name)
  end)
end

test("the fence shows a tenant its own rows, and nobody anything without one", function(t, pg)
  with_fence(t, pg, function(name)
    local a, b = pg.tenant "tenant-a", pg.tenant "tenant-b"
    local all = "select v from " .. name .. " order by v"
    t.works(a.exec("insert into " .. name .. " (v) values ($1)", "of a"))
    t.works(b.batch { { "insert into " .. name .. " (v) values ('of b')" }, { "select 1" } })
    t.equal(a.query(all), { { v = "of a" } })
    t.equal(b.one(all), { v = "of b" })
    t.equal(pg.query(all), {}, "who forgets the tenant gets nothing")
    refused(t, "denied", "42501", a.exec("insert into " .. name .. " values ('tenant-b', 'forged')"))
    t.equal(a.exec("delete from " .. name .. " where v = 'of b'"), 0)
    t.equal(a.with { timeout_ms = 5000 }.query(all), { { v = "of a" } }, "options keep the fence")
    t.equal(a.with { slow = true }.query(all), { { v = "of a" } }, "also on a connection of its own")
  end)
end)

test("the fence stands in transactions, rows and COPY, and goes with them", function(t, pg)
  with_fence(t, pg, function(name)
    local a, b = pg.tenant "tenant-a", pg.tenant "tenant-b"
    t.equal(a.transaction(function(tx)
      t.works(tx.exec("insert into " .. name .. " (v) values ('1')"))
      return t.works(tx.one("select count(*)::int as n from " .. name)).n
    end), 1)
    t.equal(b.transaction(function(tx)
      t.works(tx.exec "create temporary table given (v text) on commit drop")
      t.equal(tx.copy_in("copy given from stdin", { { "2" }, { "3" } }), 2)
      return tx.exec("insert into " .. name .. " (v) select v from given")
    end), 2)
    refused(t, "invalid", "0A000", b.copy_in("copy " .. name .. " (v) from stdin", { { "4" } }))
    local seen = {}
    for row in b.rows("select v from " .. name .. " order by v") do seen[#seen + 1] = row.v end
    t.equal(seen, { "2", "3" })
    local text = {}
    for piece in a.copy_out("copy " .. name .. " (v) to stdout") do text[#text + 1] = piece end
    t.equal(table.concat(text), "1\n")
    for row in pg.rows("select v from " .. name) do error("unfenced rows show " .. row.v) end
    pg.transaction(function(tx) t.equal(tx.query("select v from " .. name), {}) end)
  end)
end)

test("a tenant's id and the options are checked", function(t, pg)
  t.ok(not pcall(pg.tenant, nil), "no tenant")
  t.ok(not pcall(pg.tenant, ""), "an empty one")
  t.ok(not pcall(pg["with"], { timeout = 1 }), "an unknown option")
  t.ok(not pcall(pg["with"] { timeout_ms = -1 }.query, "select 1"), "a wrong one")
end)

-- Transactions

test("a transaction is committed, and answers what its function did", function(t, pg)
  with_table(t, pg, "id int", function(name)
    local a, b, c = pg.transaction(function(tx)
      t.equal(tx.exec("insert into " .. name .. " values (1)"), 1)
      t.equal(tx.batch { { "insert into " .. name .. " values (2)" }, { "select 1 as v" } }, { 1, { { v = 1 } } })
      t.equal(pg.query("select id from " .. name), {}, "others see nothing yet")
      return "a", nil, 3
    end)
    t.equal({ a, b, c }, { "a", nil, 3 })
    t.equal(#pg.query("select id from " .. name), 2)
    t.equal({ pg.transaction(function() return "nothing done" end) }, { "nothing done" })
    t.equal(select("#", pg.transaction(function(tx) tx.exec("insert into " .. name .. " values (3)") end)), 0)
    t.equal(#pg.query("select id from " .. name), 3)
  end)
end)

test("a transaction is rolled back by a failure, an error, or nil, text, name", function(t, pg)
  with_table(t, pg, "id int primary key", function(name)
    local insert = "insert into " .. name .. " values (1)"
    local ok, why = pcall(pg.transaction, function(tx)
      t.works(tx.exec(insert))
      error({ mine = true }, 0)
    end)
    t.ok(not ok and why.mine, "the error comes out as it was")
    t.fails("conflict", pg.transaction(function(tx)
      t.works(tx.exec(insert))
      return nil, "no stock", "conflict"
    end))
    local went_on
    refused(t, "conflict", "23505", pg.transaction(function(tx)
      t.works(tx.exec(insert))
      tx.exec(insert)
      went_on = { tx.query "select 1" }
      return "it did not look"
    end))
    t.equal(went_on[3], "conflict", "later statements fail alike")
    t.equal(pg.query("select id from " .. name), {})
  end)
end)

test("a transaction's functions end with it", function(t, pg)
  local kept = pg.transaction(function(tx)
    t.works(tx.query "select 1")
    return tx
  end)
  local ok, why = pcall(kept.query, "select 1")
  t.ok(not ok and why:find "given back", why)
end)

test("savepoints undo a part", function(t, pg)
  with_table(t, pg, "id int primary key", function(name)
    local insert = "insert into " .. name .. " values ($1)"
    t.equal(pg.transaction(function(tx)
      t.equal(tx.savepoint(function() return tx.exec(insert, 1) end), 1)
      refused(t, "conflict", "23505", tx.savepoint(function()
        t.works(tx.exec(insert, 2))
        return tx.exec(insert, 1)
      end))
      t.fails("not_found", tx.savepoint(function()
        t.works(tx.exec(insert, 3))
        t.works(tx.savepoint(function() return tx.exec(insert, 4) end))
        return nil, "undo both", "not_found"
      end))
      local ok, why = pcall(tx.savepoint, function()
        t.works(tx.exec(insert, 5))
        error("stop", 0)
      end)
      t.equal({ ok, why }, { false, "stop" })
      t.works(tx.exec(insert, 6))
      return "done"
    end), "done")
    t.equal(t.pluck(pg.query("select id from " .. name .. " order by id"), "id"), { 1, 6 })
  end)
end)

test("the isolation level and read only hold", function(t, pg)
  t.equal(pg.transaction({ isolation = "serializable", read_only = true }, function(tx)
    return tx.one("select current_setting('transaction_isolation') as level, "
      .. "current_setting('transaction_read_only') as only")
  end), { level = "serializable", only = "on" })
  with_table(t, pg, "id int", function(name)
    refused(t, "unavailable", "25006", pg.transaction({ read_only = true }, function(tx)
      return tx.exec("insert into " .. name .. " values (1)")
    end))
  end)
  t.ok(not pcall(pg.transaction, { isolation = "chaos" }, function() end), "an unknown level")
end)

test("a serialization failure is tried again when asked", function(t, pg)
  with_table(t, pg, "n int", function(name)
    t.works(pg.exec("insert into " .. name .. " values (0)"))
    local calls, tries = {}, 0
    for i = 1, 4 do
      calls[i] = function()
        return t.works(pg.transaction({ isolation = "serializable", retry = 10 }, function(tx)
          tries = tries + 1
          local n = t.works(tx.one("select n from " .. name)).n
          return tx.exec("update " .. name .. " set n = $1", n + 1)
        end))
      end
    end
    all_ok(t, wait_all(calls))
    t.equal(pg.one("select n from " .. name), { n = 4 })
    t.ok(tries >= 4, "tries")
  end)
end)

test("without a retry a serialization failure is a conflict", function(t, pg)
  with_table(t, pg, "n int", function(name)
    t.works(pg.exec("insert into " .. name .. " values (0)"))
    refused(t, "conflict", "40001", pg.transaction({ isolation = "repeatable read" }, function(tx)
      t.works(tx.one("select n from " .. name))
      t.works(pg.exec("update " .. name .. " set n = n + 1"))
      return tx.exec("update " .. name .. " set n = n + 1")
    end))
  end)
end)

test("a deadlock is tried again when asked", function(t, pg)
  with_table(t, pg, "id int primary key, n int", function(name)
    t.works(pg.exec("insert into " .. name .. " values (1, 0), (2, 0)"))
    local function add(first, second)
      return function()
        return t.works(pg.transaction({ retry = true }, function(tx)
          for _, id in ipairs { first, second } do
            local done, text, why, info = tx.exec("update " .. name .. " set n = n + 1 where id = $1", id)
            if not done then return nil, text, why, info end
            sleep(20)
          end
          return true
        end))
      end
    end
    all_ok(t, wait_all { add(1, 2), add(2, 1) })
    t.equal(pg.query("select n from " .. name), { { n = 2 }, { n = 2 } })
  end)
end)

test("what a transaction waits for elsewhere is named", function(t, pg)
  local name = "test " .. t.uuid()
  t.works(pg.transaction({ name = name }, function(tx)
    t.works(tx.query "select 1")
    sleep(1000)
    return true
  end))
  local found
  for _, sum in ipairs(pg.waited()) do if sum.transaction == name then found = sum end end
  t.ok(found and found.count == 1 and found.longest_ms > 500 and found.longest_on == "sleep", "its entry")
end)

-- Large results

test("rows come as they are taken", function(t, pg)
  local count, sum = 0, 0
  for row in pg.rows("select i, repeat('x', 100) as text from generate_series(1, $1) i", 20000) do
    count, sum = count + 1, sum + row.i
    if count % 5000 == 0 then t.equal(pg.one "select 1 as v", { v = 1 }) end
  end
  t.equal({ count, sum }, { 20000, 200010000 })
  for _ in pg.rows "select 1 where false" do error("a row") end
end)

test("a result that is too large fails, and can be read row by row", function(t, shared)
  local pg = shared.with { timeout_ms = 60000 }
  local sql = "select repeat('x', 1000) as text from generate_series(1, 20000)"
  local text = refused(t, "too_large", nil, pg.query(sql))
  t.ok(text:find("16777216 bytes (postgres_result_max_bytes)", 1, true) and text:find("pg.rows", 1, true), text)
  t.equal(pg.one("select 1 as one"), { one = 1 })
  local count = 0
  for row in pg.rows(sql) do count = count + #row.text end
  t.equal(count, 20000000)
end)

test("a transaction with a result that is too large is rolled back", function(t, pg)
  with_table(t, pg, "id int", function(name)
    local done, text, failure = pg.transaction(function(tx)
      tx.exec("insert into " .. name .. " values (1)")
      tx.query "select repeat('x', 1000) from generate_series(1, 20000)"
      return true
    end)
    t.fails("too_large", done, text, failure)
    t.equal(pg.one("select count(*) as n from " .. name), { n = 0 })
  end)
end)

test("a loop over rows may be left, and its iterator closed", function(t, pg)
  local rows = pg.rows "select i from generate_series(1, 1000000) i"
  for row in rows do if row.i == 10 then break end end
  rows.close()
  t.equal(rows(), nil)
  t.equal(pg.one "select 1 as v", { v = 1 })
end)

test("a failure among the rows is raised", function(t, pg)
  local seen = 0
  local ok, why = pcall(function()
    for _ in pg.rows "select 1 / (3000 - i) as v from generate_series(1, 5000) i" do seen = seen + 1 end
  end)
  t.ok(not ok and why, "an error")
  t.ok(seen < 5000, "seen")
  t.ok(not pcall(pg.rows("select from where")), "and one at once")
end)

test("rows in a transaction are read before its next statement", function(t, pg)
  t.equal(pg.transaction(function(tx)
    local sum = 0
    for row in tx.rows "select i from generate_series(1, 3000) i" do sum = sum + row.i end
    local rows = tx.rows "select i from generate_series(1, 3000) i"
    t.equal(rows(), { i = 1 })
    local ok, why = pcall(tx.query, "select 1")
    t.ok(not ok and why:find "still being read", why)
    rows.close()
    t.equal(tx.one "select 2 as v", { v = 2 })
    return sum
  end), 4501500)
end)

-- COPY

test("COPY takes rows and texts, and gives lines", function(t, pg)
  with_table(t, pg, "id int, name text, b bytea, doc jsonb, tags text[]", function(name)
    local copy = "copy " .. name .. " from stdin"
    t.equal(pg.copy_in(copy, {
      { 1, "tab\tline\nback\\slash\r", pg.bytes "\0\\\255", { a = "\\n" }, pg.array { "x", 'q"' } },
      { 2, pg.null, pg.null, pg.null, pg.null },
      "3\tthree\t\\N\t\\N\t\\N\n",
    }), 3)
    t.equal(pg.query("select * from " .. name .. " order by id"), {
      { id = 1, name = "tab\tline\nback\\slash\r", b = "\0\\\255", doc = { a = "\\n" }, tags = { "x", 'q"' } },
      { id = 2 }, { id = 3, name = "three" },
    })
    local text = {}
    for piece in pg.copy_out("copy (select id, name from " .. name .. " where id > 1 order by id) to stdout") do
      text[#text + 1] = piece
    end
    t.equal(table.concat(text), "2\t\\N\n3\tthree\n")
  end)
end)

test("COPY is all or nothing", function(t, pg)
  with_table(t, pg, "id int primary key", function(name)
    local copy = "copy " .. name .. " from stdin"
    local function numbers(last, at_end)
      local i = 0
      return function()
        i = i + 1
        if i <= last then return { i } end
        return at_end()
      end
    end
    t.equal(pg.copy_in(copy, numbers(20000, function() end)), 20000)
    refused(t, "conflict", "23505", pg.copy_in(copy, { { 20001 }, { 1 } }))
    refused(t, "invalid", "22P02", pg.copy_in(copy, { { "x" } }))
    local ok, why = pcall(pg.copy_in, copy, numbers(10, function() error("stop", 0) end))
    t.equal({ ok, why }, { false, "stop" })
    t.ok(not pcall(pg.copy_in, copy, { { print } }), "a value that is none")
    local broken = numbers(10, function() return nil, "the file ended early", "closed" end)
    t.equal({ select(2, pg.copy_in(copy, broken)) }, { "the file ended early", "closed" })
    refused(t, "invalid", "42P01", pg.copy_in("copy there_is_no_such_table from stdin", { { 1 } }))
    t.equal(pg.one("select count(*)::int as n from " .. name), { n = 20000 })
  end)
end)

-- Notifications

test("notifications of a channel are an iterator", function(t, pg)
  local channel = "test_" .. t.uuid()
  local listening = t.works(pg.listen(channel, { missed = true }))
  t.equal(listening(), false, "it is live")
  for i = 1, 3 do t.works(pg.notify(channel, "n" .. i)) end
  local seen = {}
  for payload, from in listening do
    t.equal(from, channel)
    seen[#seen + 1] = payload
    if #seen == 3 then break end
  end
  t.equal(seen, { "n1", "n2", "n3" })
  t.works(pg.notify(channel))
  t.equal(listening:next(30000), "")
  t.fails("timeout", listening:next(20))
  listening:close()
  t.ok(not pcall(listening), "it is closed")
end)

-- Deadlines

test("a statement ends at its deadline, and the connection serves on", function(t, pg)
  t.fails("timeout", pg.with { timeout_ms = 50 }.query "select pg_sleep(30)")
  t.fails("timeout", pg.with { timeout_ms = 50, slow = true }.query "select pg_sleep(30)")
  local calls = {}
  for i = 1, 8 do
    calls[i] = function()
      if i == 4 then return t.fails("timeout", pg.with { timeout_ms = 50 }.query "select pg_sleep(30)") end
      return t.equal(t.works(pg.one("select $1::int as v", i)).v, i)
    end
  end
  all_ok(t, wait_all(calls))
end)

test("a read can ask for what was just written", function(t, pg)
  with_table(t, pg, "id int", function(name)
    t.works(pg.exec("insert into " .. name .. " values (1)"))
    local lsn = t.works(pg.lsn())
    t.equal(pg.with { replica = true, min_lsn = lsn }.query("select id from " .. name), { { id = 1 } })
  end)
end)

return tests
