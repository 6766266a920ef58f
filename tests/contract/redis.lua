-- redis.lua: what scripts may expect of the module `lib.redis`.
local tests = {}

-- For what takes its time on a busy machine.
local PATIENCE_MS = 60000

local function test(name, run)
  tests[#tests + 1] = { name = name, run = run }
end

-- The test's own key.
local function key(t, name)
  return "test:" .. t.uuid() .. ":" .. (name or "k")
end

test("a command goes by its own name", function(t, redis)
  local k = key(t)
  t.equal(redis.set(k, "one"), "OK")
  t.equal(redis.get(k), "one")
  t.equal(redis.call("APPEND", k, "!"), 4)
  t.equal(redis.hset(k .. "h", "a", 1, "b", 2.5), 2)
  t.equal(redis.hgetall(k .. "h"), { a = "1", b = "2.5" })
  t.equal(redis.replica.get(k), "one!")
  t.equal(redis.del(k, k .. "h"), 2)
end)

test("nothing is nil, and redis.null inside of a list", function(t, redis)
  local k = key(t)
  local value, text, name = redis.get(k)
  t.equal({ value, text, name }, {})
  t.works(redis.hset(k, "a", ""))
  local list = redis.hmget(k, "a", "b")
  t.ok(#list == 2 and list[1] == "" and list[2] == redis.null, "an empty text and a null")
end)

test("bytes are what they are", function(t, redis)
  local k, all = key(t), {}
  for i = 0, 255 do all[i + 1] = string.char(i) end
  local bytes = table.concat(all)
  t.works(redis.hset(k, bytes, bytes .. "\r\n"))
  t.equal(redis.hgetall(k)[bytes], bytes .. "\r\n")
  local long = bytes:rep(10000)
  t.works(redis.set(k .. "long", long))
  t.ok(redis.get(k .. "long") == long, "a long text")
end)

test("whole numbers beyond 2^53 are exact", function(t, redis)
  local k = key(t)
  t.works(redis.set(k, 9007199254740991))
  t.equal(redis.incr(k), 9007199254740992)
  local beyond = redis.incr(k)
  t.ok(decimal.is(beyond), "a decimal")
  t.equal(tostring(beyond), "9007199254740993")
  t.works(redis.set(k, decimal.new "-9223372036854775808"))
  t.equal(tostring(redis.incrby(k, 1)), "-9223372036854775807")
  t.equal(redis.get(k), "-9223372036854775807")
end)

test("an error of the server is a failure, with its text and a name", function(t, redis)
  local k = key(t)
  t.works(redis.set(k, "text"))
  t.ok(t.fails("internal", redis.lpush(k, 1)):find("^WRONGTYPE"), "the server's text")
  t.fails("internal", redis.call("NO.SUCH.COMMAND", k))
end)

test("arguments are texts and numbers, or it is raised", function(t, redis)
  for _, wrong in ipairs { {}, true, print } do
    local ok, why = pcall(redis.set, key(t), wrong)
    t.ok(not ok and why:find("takes texts and numbers"), "an error")
  end
  t.ok(not pcall(redis.get, nil), "a nil is refused")
  t.ok(not pcall(redis.set, key(t), 0 / 0), "nan is refused")
end)

test("an answer that is too large is a failure, and its parts are none", function(t, redis)
  local k = key(t)
  t.works(redis.within(PATIENCE_MS, false, "SETRANGE", k, 16777216, "x"))
  local text = t.fails("too_large", redis.within(PATIENCE_MS, false, "GET", k))
  t.ok(text:find("16777216 bytes (redis_reply_max_bytes)", 1, true), text)
  t.equal(redis.getrange(k, 16777210, 16777216), ("\0"):rep(6) .. "x")
  t.works(redis.del(k))
end)

test("what only one connection may do is refused on a shared one", function(t, redis)
  for _, name in ipairs { "MULTI", "WATCH", "SUBSCRIBE", "MONITOR", "SELECT", "HELLO" } do
    t.fails("internal", redis.call(name, "1"))
  end
  t.fails("internal", redis.call("CLIENT", "REPLY", "OFF"))
  t.equal(redis.ping(), "PONG")
end)

test("a pipeline answers in order, each for itself", function(t, redis)
  local k = key(t)
  local answers = t.works(redis.pipeline(function(p)
    p.set(k, 1)
    p.incr(k)
    p.lpush(k, "x")
    p.get(k .. "none")
    p.get(k)
  end))
  t.equal({ answers[1], answers[2], answers[5] }, { "OK", 2, "2" })
  t.equal(answers[3].error, "internal")
  t.ok(answers[4] == redis.null, "a null")
  t.equal(redis.pipeline { { "GET", k }, { "STRLEN", k } }, { "2", 1 })
  t.equal(redis.pipeline {}, {})
end)

test("answers do not mix, of many at once", function(t, redis)
  local k, calls = key(t), {}
  for i = 1, 64 do
    calls[i] = function()
      for n = 1, 20 do
        local tag = i .. ":" .. n
        t.works(redis.set(k .. i, tag))
        t.equal(redis.get(k .. i), tag)
        t.equal(redis.echo(tag), tag)
      end
      return true
    end
  end
  for _, result in ipairs(wait_all(calls)) do t.ok(result.ok, result.traceback) end
end)

test("a transaction happens as a whole, or not at all", function(t, redis)
  local k = key(t)
  t.equal(redis.transaction { function(tx)
    tx.set(k, 1)
    tx.incrby(k, 4)
  end }, { "OK", 5 })
  t.fails("internal", redis.transaction { function(tx)
    tx.incr(k)
    tx.call_nothing(k)
  end })
  t.equal(redis.get(k), "5")
  t.equal(redis.transaction { watch = { k }, function() return false end }, false)
  t.equal(redis.transaction({ watch = { k } }, function(tx) tx.incr(k) end), { 6 })
  t.equal(redis.transaction(function(tx) tx.incr(k) end), { 7 })
  for _, wrong in ipairs { { { watch = { k } } }, { { watch = { k } }, "x" }, {} } do
    local ok, why = pcall(redis.transaction, unpack(wrong))
    t.ok(not ok and why:find("redis.transaction: the last argument must be a function", 1, true), why)
  end
end)

test("a watched key that changes makes a transaction do nothing", function(t, redis)
  local k = key(t)
  t.works(redis.set(k, 1))
  local results, text, name = redis.transaction { watch = { k }, function(tx)
    redis.set(k, 10)
    tx.incr(k)
  end }
  t.equal({ results, text, name }, {})
  t.equal(redis.get(k), "10")
end)

test("transactions side by side lose nothing", function(t, redis)
  local k, calls = key(t), {}
  t.works(redis.set(k, 0))
  local function add()
    repeat
      local results, text, name = redis.transaction { watch = { k }, function(tx)
        tx.set(k, tonumber(redis.get(k)) + 1)
      end }
      t.equal({ text, name }, {})
    until results
    return true
  end
  for i = 1, 8 do calls[i] = add end
  for _, result in ipairs(wait_all(calls)) do t.ok(result.ok, result.traceback) end
  t.equal(redis.get(k), "8")
end)

test("what is raised inside of a transaction comes out of it", function(t, redis)
  local ok, why = pcall(redis.transaction, { watch = { key(t) }, function() error("stop", 0) end })
  t.equal({ ok, why }, { false, "stop" })
  t.equal(redis.ping(), "PONG")
end)

test("a script runs on the server, also on one that does not know it", function(t, redis)
  local k = key(t)
  local script = redis.script("redis.call('SET', KEYS[1], ARGV[1]) return { KEYS[1], ARGV[2], false } -- " .. k)
  for i = 1, 2 do
    local answer = t.works(script({ k }, { "v" .. i, i }))
    t.ok(answer[1] == k and answer[2] == tostring(i) and answer[3] == redis.null, "its answer")
    t.equal(redis.get(k), "v" .. i)
  end
  t.fails("internal", redis.script("return redis.error_reply('MINE it is')")({}))
end)

test("a command that blocks waits on a connection of its own", function(t, redis)
  local k = key(t)
  local results = wait_all {
    function() return redis.blpop(k, 30) end,
    function()
      t.equal(redis.ping(), "PONG")
      return redis.rpush(k, "v")
    end,
  }
  t.equal({ results[1][1], results[2][1] }, { { k, "v" }, 1 })
  local value, text, name = redis.blpop(k, 0.01)
  t.equal({ value, text, name }, {})
  t.works(redis.xadd(k .. "s", "*", "f", "v"))
  t.equal(redis.xread("BLOCK", 10, "STREAMS", k .. "s", "0")[k .. "s"][1][2], { "f", "v" })
end)

test("a subscription gives what is published", function(t, redis)
  local channel = key(t)
  local subscription = t.works(redis.subscribe(channel, { missed = true }))
  t.equal(subscription(), false, "it is live")
  for i = 1, 3 do t.equal(redis.publish(channel, "m" .. i), 1) end
  local seen = {}
  for message, from in subscription do
    t.equal(from, channel)
    seen[#seen + 1] = message
    if #seen == 3 then break end
  end
  t.equal(seen, { "m1", "m2", "m3" })
  t.fails("timeout", subscription:next(20))
  subscription:close()
  t.ok(not pcall(subscription), "it is closed")
end)

-- A short push of RESP3 is what the driver's parser does not survive.
test("subscriptions are on connections that speak RESP2", function(t, redis)
  local channel = key(t)
  local subscription = t.works(redis.subscribe(channel, { missed = true }))
  t.equal(subscription(), false, "it is live")
  local clients = t.works(redis.client("LIST", "TYPE", "pubsub"))
  t.ok(not clients:find "resp=3", clients)
  subscription:close()
end)

test("a subscription to a pattern names each message's channel", function(t, redis)
  local prefix = key(t)
  local subscription = t.works(redis.subscribe(prefix .. ":*", { pattern = true, missed = true }))
  t.equal(subscription(), false)
  t.works(redis.publish(prefix .. ":a", "hello"))
  local message, from = subscription()
  t.equal({ message, from }, { "hello", prefix .. ":a" })
  subscription:close()
end)

return tests
