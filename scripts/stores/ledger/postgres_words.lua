-- postgres_words.lua: the ledger's statements as PostgreSQL has them.
local dialect = require "stores.ledger.dialect"

local function text_of(format)
  return function(...) return format:format(...) end
end

local write = dialect.writer {
  now = text_of "perigee_now()",
  clock = text_of "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
  ["in"] = text_of "(perigee_now() + %s::double precision * interval '1 millisecond')",
  at = text_of "(timestamptz 'epoch' + %s::double precision * interval '1 millisecond')",
  ms = text_of "(extract(epoch FROM %s) * 1000)::bigint",
  text = text_of "%s::text",
  uuid = text_of "%s::uuid",
  decimal = text_of "%s::numeric",
  whole = text_of "%s::bigint",
  bytes = text_of "%s",
  money = text_of "%s",
  higher = text_of "greatest(%s, %s)",
  texts = text_of "json_array_elements_text(%s::json)",
  lock = text_of "FOR NO KEY UPDATE",
  skip_locked = text_of "FOR UPDATE OF %s SKIP LOCKED",
}

local words = {}

-- The question marks are numbered.
function words.sql(text)
  local n = 0
  return (write(text):gsub("%?", function()
    n = n + 1
    return "$" .. n
  end))
end

local expecting = {}

-- The same statement, failing unless it has so many rows: what it did is undone then, with all beside it.
function words.expect(text, count)
  local wrapped = expecting[text]
  if not wrapped then
    wrapped = ("WITH done AS (%s) SELECT done.* FROM perigee_expect((SELECT count(*) FROM done), %d) "
      .. "LEFT JOIN done ON true"):format(text, count)
    expecting[text] = wrapped
  end
  return wrapped
end

return words
